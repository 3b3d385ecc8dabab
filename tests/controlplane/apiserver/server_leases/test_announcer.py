"""API servers on one store: the Service `kubernetes` has those that live. On virtual time."""

import asyncio
import functools
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.api_core import ApiCore, World
from podling.controlplane.apiserver.server_leases import lease_keys
from podling.controlplane.apiserver.server_leases.lease_keys import Endpoint
from podling.controlplane.apiserver.storage.interface import (
    GetResult,
    ListResult,
    NoSpace,
    Unavailable,
    Watch,
    WriteResult,
)
from podling.simulate.event_loop import VirtualTime
from podling.simulate.memory_storage import MemoryStorage
from tests.controlplane.apiserver.api import (
    CONFIG,
    NOW,
    Api,
    FakeNodeLogs,
    Ids,
    never,
    running_api,
)

SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
LEASE, RENEWAL = 15, 10
SLOW = 0.5
A, B, C = (Endpoint(f"10.0.0.{n}", 6443) for n in (1, 2, 3))
B_ELSEWHERE = Endpoint("10.0.0.2", 6444)

Test = Callable[[], Coroutine[Any, Any, None]]


def on_virtual_time(test: Test) -> Callable[[], None]:
    """Run a test in as long as its work takes, whatever it waits for."""

    @functools.wraps(test)
    def run() -> None:
        failures: list[str] = []
        time = VirtualTime(lambda *told: failures.append(str(told)))
        task = time.new_loop("servers").create_task(test())
        time.run_until(task.done, lambda loop: None)
        task.result()
        assert not failures

    del run.__wrapped__  # pytest must see that what it calls is no coroutine
    return run


class Line:
    """A store at the end of a line that can be cut. Implements `Storage`."""

    def __init__(self, store: MemoryStorage) -> None:
        self._store = store
        self._watches: list[Watch] = []
        self.is_cut = False

    async def cut(self) -> None:
        self.is_cut = True
        for watch in self._watches:
            await watch.close()

    def _whole(self) -> MemoryStorage:
        if self.is_cut:
            raise Unavailable("the line is cut")
        return self._store

    async def get(self, key: bytes) -> GetResult:
        return await self._whole().get(key)

    async def list(
        self, start: bytes, end: bytes, *, limit: int = 0, revision: int = 0
    ) -> ListResult:
        return await self._whole().list(start, end, limit=limit, revision=revision)

    async def put(
        self, key: bytes, value: bytes, *, expected_revision: int, lease: int = 0
    ) -> WriteResult:
        store = self._whole()
        return await store.put(key, value, expected_revision=expected_revision, lease=lease)

    async def delete(self, key: bytes, *, expected_revision: int) -> WriteResult:
        return await self._whole().delete(key, expected_revision=expected_revision)

    async def watch(self, start: bytes, end: bytes, *, after_revision: int) -> Watch:
        self._watches.append(await self._whole().watch(start, end, after_revision=after_revision))
        return self._watches[-1]

    async def grant_lease(self, ttl: int) -> int:
        return await self._whole().grant_lease(ttl)

    async def compact(self, revision: int) -> None:
        await self._whole().compact(revision)


def at(endpoint: Endpoint) -> Any:
    return replace(CONFIG, advertised=endpoint)


async def addresses(api: Api) -> list[str]:
    """Of the Service, as this server tells them."""
    listed = (await api.get(SLICES)).json["items"]
    return sorted(
        f"{each['addresses'][0]}:{found['ports'][0]['port']}"
        for found in listed
        for each in found["endpoints"]
    )


async def until_they_are(wanted: list[Endpoint], api: Api, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            while await addresses(api) != [str(endpoint) for endpoint in wanted]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{wanted} were told not in {seconds} s") from None


async def keys(store: MemoryStorage) -> list[str]:
    found = await store.list(lease_keys.PREFIX, lease_keys.END)
    return [kv.key.removeprefix(lease_keys.PREFIX).decode() for kv in found.kvs]


@on_virtual_time
async def test_both_are_told_as_soon_as_they_are_ready_and_gone_as_soon_as_they_stop() -> None:
    store = MemoryStorage()
    async with running_api(store, at(A)) as first:
        async with running_api(store, at(B)) as second:
            assert await addresses(first) == await addresses(second) == [str(A), str(B)]
            assert await keys(store) == [str(A), str(B)]
        assert await addresses(first) == [str(A)]
        assert await keys(store) == [str(A)]


@on_virtual_time
async def test_the_dead_is_gone_when_its_lease_has_ended_and_may_come_back() -> None:
    store = MemoryStorage()
    line = Line(store)
    async with running_api(store, at(A)) as first, running_api(line, at(B)):
        await line.cut()
        await asyncio.sleep(LEASE - RENEWAL - 1)
        assert await addresses(first) == [str(A), str(B)]
        await until_they_are([A], first, LEASE + RENEWAL)
        line.is_cut = False
        await until_they_are([A, B], first, 3)


@on_virtual_time
async def test_those_that_live_stay_and_cost_two_writes_a_renewal() -> None:
    store = MemoryStorage()
    async with running_api(store, at(A)) as first, running_api(store, at(B)):
        (told,) = (await first.get(SLICES)).json["items"]
        before = store.revision
        await asyncio.sleep(100 * RENEWAL)
        assert (await first.get(SLICES)).json["items"] == [told]
        assert store.revision - before <= 2 * 100, "only the two keys were written"


@on_virtual_time
async def test_a_server_that_was_killed_and_comes_back_on_another_port() -> None:
    store = MemoryStorage()
    line = Line(store)
    async with running_api(store, at(A)) as first, running_api(line, at(B)):
        await line.cut()
        async with running_api(store, at(B_ELSEWHERE)):
            assert await addresses(first) == [str(A), str(B), str(B_ELSEWHERE)]
            await until_they_are([A, B_ELSEWHERE], first, LEASE + RENEWAL)


@on_virtual_time
async def test_a_process_that_stops_late_leaves_its_successor_alone() -> None:
    store = MemoryStorage()
    async with running_api(store, at(A)) as first:
        before = running_api(store, at(B), Ids("earlier"))
        await before.__aenter__()
        async with running_api(store, at(B), Ids("later")):
            await before.__aexit__(None, None, None)
            assert await addresses(first) == [str(A), str(B)]


@on_virtual_time
async def test_who_saw_the_keys_before_one_was_removed_does_not_tell_of_it() -> None:
    store = MemoryStorage()
    async with running_api(store, at(A)) as first, TaskSet("test") as tasks:
        stopping = running_api(store, at(B))
        await stopping.__aenter__()
        starting = running_api(SlowLine(store), at(C))
        entering = tasks.spawn(starting.__aenter__(), name="start")
        await asyncio.sleep(SLOW / 2)  # it has asked for the keys, and has no answer yet
        await stopping.__aexit__(None, None, None)
        await entering
        assert await addresses(first) == [str(A), str(C)]
        await starting.__aexit__(None, None, None)


class SlowLine(Line):
    """What it says of the keys is of half a second ago."""

    async def list(
        self, start: bytes, end: bytes, *, limit: int = 0, revision: int = 0
    ) -> ListResult:
        answer = await super().list(start, end, limit=limit, revision=revision)
        await asyncio.sleep(SLOW if start == lease_keys.PREFIX else 0)
        return answer


@on_virtual_time
async def test_nobody_drops_itself() -> None:
    store = MemoryStorage()
    async with running_api(LostLeases(store), at(A)) as api:
        assert await addresses(api) == [str(A)]


class LostLeases(Line):
    """Ends a lease as soon as it is used."""

    async def put(
        self, key: bytes, value: bytes, *, expected_revision: int, lease: int = 0
    ) -> WriteResult:
        written = await super().put(key, value, expected_revision=expected_revision, lease=lease)
        if lease:
            await self.delete(key, expected_revision=written.revision)
        return written


@on_virtual_time
async def test_the_last_one_that_stops_is_told_no_more() -> None:
    store = MemoryStorage()
    async with running_api(store, at(A)):
        pass
    assert not await keys(store)
    async with running_api(store, replace(CONFIG, advertised=None)) as reader:
        assert await addresses(reader) == []


@on_virtual_time
async def test_what_people_do_to_the_slices_is_set_right() -> None:
    async with running_api(config=at(A)) as api:
        await api.delete(f"{SLICES}/kubernetes")
        await until_they_are([A], api, RENEWAL + 1)
        stolen = {"metadata": {"labels": None}, "endpoints": [{"addresses": ["10.0.0.9"]}]}
        assert (await api.patch(f"{SLICES}/kubernetes", stolen)).status == 200
        await until_they_are([A], api, RENEWAL + 1)
        (told,) = (await api.get(SLICES)).json["items"]
        assert told["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}


@on_virtual_time
async def test_a_kube_apiserver_on_the_same_store_is_told_with_the_own_port() -> None:
    store = MemoryStorage()
    async with running_api(store, at(A)) as api:
        theirs = lease_keys.PREFIX + b"10.0.0.7"
        revision = 0
        for _ in range(10):  # whatever the value is: its renewals count, not its form
            lease = await store.grant_lease(LEASE)
            written = await store.put(theirs, b"k8s\0...", expected_revision=revision, lease=lease)
            assert written.succeeded
            revision = written.revision
            await asyncio.sleep(RENEWAL)
        assert await addresses(api) == [str(A), "10.0.0.7:6443"]


@on_virtual_time
async def test_a_key_that_came_from_a_backup_is_removed() -> None:
    """Its lease is unknown to the store, so nothing else would ever end it."""
    store = MemoryStorage()
    await store.put(lease_keys.key(B), b"{}", expected_revision=0)
    await store.put(lease_keys.PREFIX + b"note", b"whatever it is", expected_revision=0)
    async with running_api(store, at(A)) as api:
        assert await addresses(api) == [str(A), str(B)]
        await until_they_are([A], api, 6 * RENEWAL)
        await asyncio.sleep(6 * RENEWAL)
        assert await keys(store) == [str(A), "note"], "what is no server's is left alone"


@on_virtual_time
async def test_after_the_store_was_away_for_long_nobody_is_dropped() -> None:
    store = MemoryStorage()
    lines = Line(store), Line(store)
    async with running_api(lines[0], at(A)) as first, running_api(lines[1], at(B)):
        for line in lines:
            await line.cut()
        await asyncio.sleep(600)
        for line in lines:
            line.is_cut = False
        await until_they_are([A, B], first, 3)


@on_virtual_time
async def test_many_that_start_at_once_are_all_told() -> None:
    store = MemoryStorage()
    many = [Endpoint(f"10.0.0.{n}", 6443 + n % 3) for n in range(1, 10)]
    async with running_api(store, at(A)) as api:
        servers = [running_api(store, at(endpoint)) for endpoint in many[1:]]
        await asyncio.gather(*(server.__aenter__() for server in servers))
        await until_they_are(sorted({A, *many[1:]}), api, 2)
        await asyncio.gather(*(server.__aexit__(None, None, None) for server in servers))
        assert await addresses(api) == [str(A)]


@on_virtual_time
async def test_a_store_that_takes_no_writes_can_still_be_read() -> None:
    store = MemoryStorage()
    async with running_api(store, at(A)):
        pass
    full = FullStore(store)
    async with running_api(full, at(A)) as api:
        assert (await api.get("/readyz")).status == 200
        assert await addresses(api) == []


@on_virtual_time
async def test_a_server_that_stops_before_the_cluster_is_there_is_never_told_of() -> None:
    store = MemoryStorage()
    full = FullStore(store)
    world = World(lambda: NOW, Ids(), random.Random(1), CollectorRegistry(), FakeNodeLogs(), never)
    core = ApiCore(at(A), full, world)
    await core.start()
    try:
        await core.withdraw()
        assert core.checks()["shutdown"], "nobody should be sent here any more"
        full.is_full = False
        await asyncio.sleep(RENEWAL)  # requests are still being finished
        assert core.checks()["bootstrap"] == "", "the cluster is there now"
        assert await keys(store) == []
    finally:
        await core.stop()


class FullStore(Line):
    """Takes no more, until there is room again."""

    is_full = True

    async def put(
        self, key: bytes, value: bytes, *, expected_revision: int, lease: int = 0
    ) -> WriteResult:
        if self.is_full:
            raise NoSpace("mvcc: database space exceeded")
        return await super().put(key, value, expected_revision=expected_revision, lease=lease)


@pytest.mark.parametrize("endpoint", [A, Endpoint("fd00::1", 6443)])
async def test_addresses_of_both_families_can_be_told(endpoint: Endpoint) -> None:
    async with running_api(config=at(endpoint)) as api:
        assert await addresses(api) == [f"{endpoint.address}:{endpoint.port}"]
