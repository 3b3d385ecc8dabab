"""Watch streams: etcd's conversation, in the order in which a client must see it."""

import asyncio

import pytest

from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.machine import commands
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.watch_streams import (
    ALL_WATCHES,
    MAX_BACKLOG,
    MAX_WATCHES,
    WatchStream,
)

PATIENCE = 30.0
"""Seconds until something that never comes is a failure."""


class World:
    """A state machine and one stream on it."""

    def __init__(self, progress_interval: float = 600.0, max_response_bytes: int = 10**6) -> None:
        self.machine = StoreStateMachine(lambda: 0.0, max_pending_bytes=1000)
        self.closed = 0
        self.stream = WatchStream(
            self.machine,
            progress_interval=progress_interval,
            max_response_bytes=max_response_bytes,
            on_close=self._count_close,
        )

    def _count_close(self, stream: WatchStream) -> None:
        self.closed += 1

    def put(self, *keys: bytes, value: bytes = b"1") -> None:
        puts = [rq.PutRequest(key, value) for key in keys]
        self.machine.apply(1, 1, commands.encode(rq.TxnRequest((), puts)))

    def compact(self, revision: int) -> None:
        self.machine.apply(1, 1, commands.encode(rq.CompactionRequest(revision)))

    async def next(self) -> rq.WatchResponse:
        async with asyncio.timeout(PATIENCE):
            return await self.stream.next()

    async def nothing(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await self.stream.next()


@pytest.fixture
async def world() -> World:
    return World()


def keys(response: rq.WatchResponse) -> list[tuple[bytes, int]]:
    return [(event.kv.key, event.kv.mod_revision) for event in response.events]


def everything(**options: object) -> rq.WatchCreateRequest:
    return rq.WatchCreateRequest(b"\0", b"\0", **options)  # type: ignore[arg-type]


async def test_creation_is_answered_before_the_events(world: World) -> None:
    world.put(b"a")
    world.stream.create(everything(start_revision=1))
    world.put(b"b")
    created, first = await world.next(), await world.next()
    assert (created.created, created.watch_id, created.revision) == (True, 0, 2)
    assert keys(first) == [(b"a", 2), (b"b", 3)]
    assert first.revision == 3


async def test_ids_count_up_and_may_be_chosen(world: World) -> None:
    ids = [world.stream.create(everything(watch_id=chosen)).watch_id for chosen in (0, 1, 0, 7, 0)]
    assert ids == [0, 1, 2, 7, 3]


async def test_a_chosen_id_in_use_is_refused_on_the_stream(world: World) -> None:
    world.stream.create(everything(watch_id=7))
    refused = world.stream.create(everything(watch_id=7))
    assert (refused.created, refused.canceled, refused.watch_id) == (True, True, ALL_WATCHES)
    assert "duplicate watch ID" in refused.cancel_reason


async def test_an_empty_range_is_refused_on_the_stream(world: World) -> None:
    refused = world.stream.create(rq.WatchCreateRequest(b"b", b"a"))
    assert refused.canceled
    assert refused.cancel_reason == "mvcc: watcher range is empty"


async def test_compacted_history_cancels_the_watch_and_names_the_oldest(world: World) -> None:
    for _ in range(5):
        world.put(b"a")
    world.compact(5)
    world.stream.create(everything(start_revision=4))
    await world.next()
    canceled = await world.next()
    assert (canceled.canceled, canceled.compact_revision) == (True, 5)
    world.put(b"a")
    await world.nothing()


async def test_cancelling_drops_what_is_pending(world: World) -> None:
    world.stream.create(everything())
    await world.next()
    world.put(b"a")
    world.stream.cancel(0)
    world.stream.cancel(0)
    world.put(b"a")
    canceled = await world.next()
    assert (canceled.canceled, canceled.watch_id, list(canceled.events)) == (True, 0, [])
    await world.nothing()


async def test_progress_comes_after_everything_pending(world: World) -> None:
    world.stream.create(rq.WatchCreateRequest(b"a", start_revision=1))
    world.put(b"a")
    world.put(b"z")
    world.stream.request_progress()
    created, events, progress = [await world.next() for _ in range(3)]
    assert created.created
    assert keys(events) == [(b"a", 2)]
    assert (progress.watch_id, list(progress.events), progress.revision) == (ALL_WATCHES, [], 3)


async def test_there_is_no_progress_without_a_watch_or_before_its_start(world: World) -> None:
    world.stream.request_progress()
    await world.nothing()
    world.stream.create(everything(start_revision=3, progress_notify=True))
    assert (await world.next()).created
    world.stream.request_progress()
    await world.nothing()
    world.put(b"a")
    world.stream.request_progress()
    assert (await world.next()).revision == 2


async def test_a_future_revision_is_waited_for(world: World) -> None:
    world.stream.create(everything(start_revision=4))
    await world.next()
    for _ in range(3):
        world.put(b"a")
    assert keys(await world.next()) == [(b"a", 4)]
    await world.nothing()


async def test_a_negative_revision_is_refused_on_the_stream(world: World) -> None:
    refused = world.stream.create(everything(start_revision=-1))
    assert (refused.created, refused.canceled, refused.watch_id) == (True, True, ALL_WATCHES)
    assert refused.cancel_reason == "etcdserver: mvcc: required revision has been compacted"


async def test_a_quiet_watch_that_asked_for_it_is_told_of_progress() -> None:
    world = World(progress_interval=0.02)
    world.stream.create(everything(progress_notify=True))
    await world.next()
    progress = await world.next()
    assert (progress.watch_id, list(progress.events)) == (0, [])


async def test_previous_values_only_if_asked_for(world: World) -> None:
    world.put(b"a", value=b"old")
    world.stream.create(everything(prev_kv=True))
    world.stream.create(everything())
    world.put(b"a", value=b"new")
    responses = [await world.next() for _ in range(4)]
    with_previous, without = (response.events[0].previous for response in responses[2:])
    assert with_previous is not None
    assert with_previous.value == b"old"
    assert without is None


async def test_a_large_revision_is_split_only_if_allowed() -> None:
    world = World(max_response_bytes=350)
    world.stream.create(everything(fragment=True))
    world.stream.create(everything())
    world.put(*(b"%d" % number for number in range(5)), value=b"x" * 100)
    _, _, *pieces = [await world.next() for _ in range(6)]
    assert [piece.fragment for piece in pieces] == [True, True, False, False]
    assert [len(piece.events) for piece in pieces] == [2, 2, 1, 5]
    assert [piece.watch_id for piece in pieces] == [0, 0, 0, 1]


async def test_many_revisions_are_told_in_responses_of_bounded_size() -> None:
    """Clients refuse messages of more than 4 MiB unless told otherwise."""
    world = World(max_response_bytes=350)
    world.stream.create(everything())
    await world.next()
    for _ in range(3):
        world.put(b"a", b"b", value=b"x" * 100)
    pieces = [await world.next() for _ in range(3)]
    assert [keys(piece) for piece in pieces] == [
        [(b"a", revision), (b"b", revision)] for revision in (2, 3, 4)
    ]
    assert [(piece.revision, piece.fragment) for piece in pieces] == [
        (2, False), (3, False), (4, False),
    ]  # fmt: skip


async def test_closing_wakes_the_reader_and_leaves_no_watcher(world: World) -> None:
    world.stream.create(everything())
    await world.next()
    asyncio.get_running_loop().call_soon(world.stream.close)
    with pytest.raises(errors.Stopped):
        await world.next()
    world.stream.close()
    assert world.closed == 1
    assert len(world.machine.watchers) == 0


async def test_a_slow_reader_misses_nothing(world: World) -> None:
    world.stream.create(everything())
    await world.next()
    for _ in range(2500):
        world.put(b"a")
    seen: list[int] = []
    while len(seen) < 2500:
        seen += [revision for _, revision in keys(await world.next())]
    assert seen == list(range(2, 2502))


async def test_who_asks_much_and_reads_little_is_made_to_wait(world: World) -> None:
    for _ in range(MAX_BACKLOG + 1):
        world.stream.create(rq.WatchCreateRequest(b"b", b"a"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await world.stream.room()
    await world.next()
    async with asyncio.timeout(PATIENCE):
        await world.stream.room()


async def test_a_stream_has_a_bounded_number_of_watches(world: World) -> None:
    for _ in range(MAX_WATCHES):
        world.stream.create(rq.WatchCreateRequest(b"a"))
    refused = world.stream.create(rq.WatchCreateRequest(b"a"))
    assert (refused.watch_id, refused.canceled) == (ALL_WATCHES, True)
    assert refused.cancel_reason == "etcdserver: too many requests"
    world.stream.cancel(0)
    assert not world.stream.create(rq.WatchCreateRequest(b"a")).canceled
