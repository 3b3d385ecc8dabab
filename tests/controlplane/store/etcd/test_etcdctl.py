"""The real etcdctl against one and three members: keys, watches, leases, locks.

Skipped where it is not installed (Debian: apt install etcd-client).
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane.store.etcd.etcdctl import Run, etcdctl, needs_etcdctl, running
from tests.controlplane.store.members import Members
from tests.waiting import until

pytestmark = needs_etcdctl


@pytest.fixture(params=[1, 3], ids=["one member", "three members"])
async def run(members: Members, request: pytest.FixtureRequest) -> AsyncIterator[Run]:
    await members.start(request.param, listen=True)
    await members.upgraded()

    async def run(*words: str, stdin: str = "", fails: bool = False) -> str:
        return await etcdctl(members.endpoints, *words, stdin=stdin, fails=fails)

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


async def test_a_mutex_is_held_by_one_at_a_time(run: Run) -> None:
    """A lease kept alive, a transaction on create revisions, a watch for deletions."""
    held = await asyncio.gather(*(run("lock", "mutex", "true") for _ in range(3)))
    assert held == ["", "", ""]
    assert await run("get", "mutex", "--prefix") == ""


async def test_a_watch_is_told_what_happens(members: Members, run: Run) -> None:
    async with running(members.endpoints, "watch", "a", "--prev-kv") as watch:
        await members.watched(1)
        for value in "123":
            await run("put", "a", value)
        await watch.says("PUT", "a", "1", "a", "2", "PUT", "a", "2", "a", "3")
        await run("del", "a")
        await watch.says("DELETE", "a", "3", "a")


async def test_watches_are_begun_one_after_the_other(members: Members, run: Run) -> None:
    async with running(members.endpoints, "watch", "--interactive") as watch:
        await watch.tell("watch a\nwatch b c\n")
        await members.watched(2)
        await run("put", "a", "1", "")
        await watch.says("PUT", "a", "1")
        await run("put", "bb", "2")
        await watch.says("PUT", "bb", "2")


async def test_a_leader_is_elected_and_followed_by_the_next(members: Members, run: Run) -> None:
    async with (
        running(members.endpoints, "elect", "e", "first") as first,
        running(members.endpoints, "elect", "--listen", "e") as listener,
    ):
        await first.says("first")
        await listener.says("first")
        async with running(members.endpoints, "elect", "e", "second") as second:
            await run("get", "e", "--prefix")
            await first.interrupt()
            await second.says("second")
            await listener.says("second")


async def test_a_lock_passes_on_when_its_holder_is_interrupted(members: Members, run: Run) -> None:
    async with running(members.endpoints, "lock", "mutex") as first:
        held = await first.line()
        async with running(members.endpoints, "lock", "mutex") as second:
            await members.watched(1)  # who waits watches the one before
            assert await first.interrupt() == 0
            passed_on = await second.line()
    assert held.startswith("mutex/") and passed_on.startswith("mutex/") and held != passed_on


async def test_keys_are_mirrored_to_another_cluster(
    members: Members, run: Run, tmp_path: Path
) -> None:
    await run("put", "/a/old", "1")
    there = Members(tmp_path / "there")
    (other,) = await there.start(1, listen=True)
    try:
        options = ("--prefix=/a/", "--dest-prefix=/b/")
        async with running(members.endpoints, "make-mirror", *options, there.endpoints):
            await until(lambda: other.store.revision > 1, "the old key is mirrored")
            await run("put", "/a/new", "2")
            await until(lambda: other.store.revision > 2, "the new key is mirrored")
        assert await etcdctl(there.endpoints, "get", "/", "--prefix") == "/b/new\n2\n/b/old\n1\n"
    finally:
        await there.stop(other)


async def test_a_lease_is_kept_alive_and_lost(members: Members, run: Run) -> None:
    """etcdctl renews it at a third of its time, and gives it up at the end by its own clock."""
    members.clock.hold()
    lease = (await run("lease", "grant", "9")).split()[1]
    await run("put", "a", "1", f"--lease={lease}")
    async with running(members.endpoints, "lease", "keep-alive", lease) as keeper:
        await keeper.says(f"lease {lease} keepalived with TTL(9)")
        members.clock.advance(6)
        await members.renewed(int(lease, 16))
        members.clock.advance(6)  # now it is older than it would get by itself
        assert await run("get", "a") == "a\n1\n"
    members.clock.advance(9.1)
    await until(lambda: not members.servers[0].store.status().leases, "the lease has run out")
    assert await run("get", "a") == ""
