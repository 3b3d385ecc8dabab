"""The real etcdctl against one and three members.

Skipped where it is not installed (Debian: apt install etcd-client).
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import orjson
import pytest

from tests.controlplane.store.members import PATIENCE, Members

ETCDCTL = shutil.which("etcdctl")

pytestmark = pytest.mark.skipif(
    ETCDCTL is None, reason="no etcdctl in PATH (apt install etcd-client)"
)

#: Runs etcdctl with arguments and standard input; returns its output. Fails if it fails.
Run = Callable[..., Coroutine[Any, Any, str]]


async def etcdctl(endpoints: str, *words: str, stdin: str = "", fails: bool = False) -> str:
    process = await asyncio.create_subprocess_exec(
        str(ETCDCTL), "--endpoints", endpoints, "--command-timeout=10s", *words,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={**os.environ, "ETCDCTL_API": "3"},
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        output, error = await process.communicate(stdin.encode())
    text = (error if fails else output).decode()
    assert (process.returncode != 0) == fails, f"etcdctl {words}: {error.decode()}"
    return text


@pytest.fixture(params=[1, 3], ids=["one member", "three members"])
async def run(members: Members, request: pytest.FixtureRequest) -> AsyncIterator[Run]:
    servers = await members.start(request.param, listen=True)
    await members.leader()
    endpoints = ",".join(members.endpoint(server) for server in servers)

    async def run(*words: str, stdin: str = "", fails: bool = False) -> str:
        return await etcdctl(endpoints, *words, stdin=stdin, fails=fails)

    yield run


async def test_keys_are_put_got_and_deleted(run: Run) -> None:
    assert await run("put", "a", "1") == "OK\n"
    assert await run("put", "b", "2") == "OK\n"
    assert await run("put", "a", "3", "--prev-kv") == "OK\na\n1\n"
    assert await run("get", "a", "z") == "a\n3\nb\n2\n"
    assert await run("get", "", "--prefix", "--keys-only", "--limit=1") == "a\n\n"
    assert await run("get", "a", "--rev=2") == "a\n1\n"
    assert await run("get", "", "--prefix", "--sort-by=MODIFY", "--order=DESCEND") == "a\n3\nb\n2\n"
    assert await run("del", "", "--prefix", "--prev-kv") == "2\na\n3\nb\n2\n"
    assert await run("get", "", "--prefix") == ""


async def test_a_transaction_compares_and_acts(run: Run) -> None:
    await run("put", "a", "1")
    text = 'value("a") = "1"\nversion("b") = "0"\n\nput b 2\nget a\n\nget b\n\n'
    assert await run("txn", stdin=text) == "SUCCESS\n\nOK\n\na\n1\n"
    assert await run("txn", stdin=text) == "FAILURE\n\nb\n2\n"


async def test_a_watch_replays_history_and_ends_where_it_is_compacted(run: Run) -> None:
    for value in "123":
        await run("put", "a", value)
    await run("compaction", "3")
    assert "compacted" in await run("get", "a", "--rev=2", fails=True)
    assert "compacted" in await run("watch", "a", "--rev=1", fails=True)


async def test_a_lease_takes_its_keys_along(run: Run) -> None:
    granted = await run("lease", "grant", "60")
    lease = granted.split()[1]
    await run("put", "a", "1", f"--lease={lease}")
    assert "attached keys([a])" in await run("lease", "timetolive", lease, "--keys")
    assert lease in await run("lease", "list")
    assert "keepalived with TTL(60)" in await run("lease", "keep-alive", "--once", lease)
    assert "revoked" in await run("lease", "revoke", lease)
    assert await run("get", "a") == ""
    assert "requested lease not found" in await run("lease", "revoke", lease, fails=True)


async def test_every_member_tells_its_status(members: Members, run: Run) -> None:
    await run("put", "a", "1")
    found = orjson.loads(await run("endpoint", "status", "-w", "json"))
    statuses = [each["Status"] for each in found]
    leader = (await members.leader()).store.status().replica.member_id
    assert {status["leader"] for status in statuses} == {leader}
    assert len({status["header"]["member_id"] for status in statuses}) == len(members.servers)
    listed = await run("member", "list")
    assert listed.count("started") == len(members.servers)
    await run("endpoint", "health")
    hashes = orjson.loads(await run("endpoint", "hashkv", "-w", "json"))
    assert len({each["HashKV"]["hash"] for each in hashes}) == 1
    assert await run("alarm", "list") == ""
    await run("defrag")


async def test_a_mutex_is_held_by_one_at_a_time(run: Run) -> None:
    """A lease kept alive, a transaction on create revisions, a watch for deletions."""
    held = await asyncio.gather(*(run("lock", "mutex", "true") for _ in range(3)))
    assert held == ["", "", ""]
    assert await run("get", "mutex", "--prefix") == ""
