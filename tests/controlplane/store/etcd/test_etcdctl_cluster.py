"""The real etcdctl against one and three members: what it asks of members and of their upkeep."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from podling.controlplane.store.config import StoreConfig
from tests.controlplane.store.etcd.etcdctl import Run, etcdctl, needs_etcdctl, running
from tests.controlplane.store.members import Members
from tests.waiting import until

pytestmark = needs_etcdctl

SMALL = StoreConfig(min_lease_ttl=1, housekeeping_interval=0.05, quota_bytes=200_000)


@pytest.fixture(params=[1, 3], ids=["one member", "three members"])
async def run(members: Members, request: pytest.FixtureRequest) -> AsyncIterator[Run]:
    await members.start(request.param, SMALL, listen=True)
    await members.upgraded()

    async def run(*words: str, stdin: str = "", fails: bool = False) -> str:
        return await etcdctl(members.endpoints, *words, stdin=stdin, fails=fails)

    yield run


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
    await run("defrag")


async def test_all_members_have_the_same_keys(members: Members, run: Run) -> None:
    for value in "123":
        await run("put", "a", value)
    await run("compaction", "3", "--physical")
    await until(
        lambda: all(server.store.compact_revision == 3 for server in members.servers),
        "all have compacted",
    )
    hashes = orjson.loads(await run("endpoint", "hashkv", "--rev=4", "-w", "json"))
    assert len(hashes) == len(members.servers)
    assert len({each["HashKV"]["hash"] for each in hashes}) == 1


async def test_leadership_is_moved(members: Members, run: Run) -> None:
    leader = await members.leader()
    at = members.endpoint(leader)
    others = [server for server in members.servers if server is not leader]
    if not others:
        refused = await etcdctl(at, "move-leader", "42", fails=True)
        assert "bad leader transferee" in refused
        return
    successor = others[0].store.status().replica.member_id
    assert "Leadership transferred" in await etcdctl(at, "move-leader", f"{successor:x}")
    await until(
        lambda: {each.store.status().replica.leader_id for each in members.servers} == {successor},
        "all know the new leader",
    )
    found = orjson.loads(await run("endpoint", "status", "-w", "json"))
    assert {each["Status"]["leader"] for each in found} == {successor}


async def test_a_full_store_raises_an_alarm_until_it_is_disarmed(
    members: Members, run: Run
) -> None:
    value = "v" * 50_000
    for number in range(3):
        await run("put", f"k{number}", value)
    refused = ""
    for number in range(3, 6):
        refused = refused or await _put(run, f"k{number}", value)
    assert "mvcc: database space exceeded" in refused
    stores = [server.store for server in members.servers]
    await until(lambda: len(stores[0].alarms.raised()) == len(stores), "every member has noticed")
    assert (await run("alarm", "list")).count("alarm:NOSPACE") == len(stores)
    assert "database space exceeded" in await run("put", "a", "1", fails=True)
    await run("del", "k", "--prefix")
    revision = orjson.loads(await run("get", "a", "-w", "json"))["header"]["revision"]
    await run("compaction", str(revision), "--physical")
    await run("defrag")
    await until(
        lambda: all(store.status().size < SMALL.quota for store in stores), "space is freed"
    )
    assert "alarm:NOSPACE" in await run("alarm", "disarm")
    assert await run("alarm", "list") == ""
    await run("put", "a", "1")


async def _put(run: Run, key: str, value: str) -> str:
    """What is said against it; nothing if it is put."""
    try:
        await run("put", key, value)
    except AssertionError as error:
        return str(error)
    return ""


async def test_a_snapshot_is_saved(members: Members, run: Run, tmp_path: Path) -> None:
    await run("put", "a", "1")
    path = tmp_path / "snapshot.db"
    await etcdctl(members.endpoints.split(",")[0], "snapshot", "save", str(path))
    assert path.stat().st_size > 0


async def test_the_load_of_a_benchmark_is_borne(members: Members, run: Run) -> None:
    """It takes a minute by its own clock, of which a moment is enough here."""
    async with running(members.endpoints, "check", "perf", "--load=s") as load:
        await until(
            lambda: members.servers[0].store.revision > 100, "a hundred puts of the benchmark"
        )
        await load.interrupt()


async def test_the_version_of_the_client_is_its_own(run: Run) -> None:
    assert "etcdctl version: 3." in await run("version")
