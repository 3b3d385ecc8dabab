"""Conversations on watch streams that our store and a real etcd answer alike."""

import asyncio
from typing import Any

import pytest

from podling.controlplane.etcdpb import kv_pb2, rpc_pb2
from tests.controlplane.store.etcd.clients import Client, Watch, anonymous


async def put(client: Client, *keys: bytes, value: bytes = b"1") -> None:
    """In one revision."""
    puts = [rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=k, value=value)) for k in keys]
    await client.kv.Txn(rpc_pb2.TxnRequest(success=puts))


async def delete(client: Client, key: bytes) -> None:
    await client.kv.DeleteRange(rpc_pb2.DeleteRangeRequest(key=key))


def seen(events: list[Any]) -> list[tuple[str, bytes, int]]:
    kinds = {kv_pb2.Event.PUT: "put", kv_pb2.Event.DELETE: "delete"}
    return [(kinds[event.type], event.kv.key, event.kv.mod_revision) for event in events]


async def test_ids_count_up_on_each_stream_unless_chosen(either: Client) -> None:
    for _ in range(2):
        stream = Watch(either.watch.Watch())
        ids = []
        for chosen in (0, 0, 7, 0):
            await stream.create(key=b"a", watch_id=chosen)
            created = anonymous(await stream.next())
            assert created.created
            ids.append(created.watch_id)
        assert ids == [0, 1, 7, 2]
        stream.call.cancel()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"key": b"b", "range_end": b"a"}, "mvcc: watcher range is empty"),
        ({"key": b"b", "range_end": b"b"}, "mvcc: watcher range is empty"),
        ({"key": b"a", "watch_id": 7}, "mvcc: duplicate watch ID provided on the WatchStream"),
    ],
)
async def test_a_refused_watch_is_created_and_cancelled_at_once(
    either: Client, wrong: Any, reason: str
) -> None:
    stream = await either.watching(key=b"a", watch_id=7)
    await stream.next()
    await stream.create(**wrong)
    assert anonymous(await stream.next()) == rpc_pb2.WatchResponse(
        header=rpc_pb2.ResponseHeader(revision=1),
        watch_id=-1,
        created=True,
        canceled=True,
        cancel_reason=reason,
    )
    # The stream goes on.
    await put(either, b"a")
    assert seen(await stream.events(1)) == [("put", b"a", 2)]
    stream.call.cancel()


async def test_cancelling_is_answered_once(either: Client) -> None:
    stream = await either.watching(key=b"a")
    await stream.next()
    await stream.cancel(0)
    assert anonymous(await stream.next()) == rpc_pb2.WatchResponse(
        header=rpc_pb2.ResponseHeader(revision=1), canceled=True
    )
    await stream.cancel(0)
    await stream.cancel(99)
    await stream.create(key=b"b")
    assert (await stream.next()).created
    stream.call.cancel()


@pytest.mark.parametrize(
    ("start", "expected"),
    [(0, [6]), (1, [2, 3, 4, 5, 6]), (4, [4, 5, 6]), (6, [6]), (7, [7])],
)
async def test_it_begins_where_it_is_told(either: Client, start: int, expected: list[int]) -> None:
    for _ in range(4):
        await put(either, b"a")
    stream = await either.watching(key=b"a", start_revision=start)
    assert anonymous(await stream.next()) == rpc_pb2.WatchResponse(
        header=rpc_pb2.ResponseHeader(revision=5), created=True
    )
    for _ in range(2):
        await put(either, b"a")
    events = await stream.events(len(expected))
    assert [event.kv.mod_revision for event in events][: len(expected)] == expected
    stream.call.cancel()


async def test_each_event_belongs_to_the_watches_that_want_it(either: Client) -> None:
    wanted = [
        {"key": b"a"},
        {"key": b"a", "range_end": b"c"},
        {"key": b"b", "range_end": b"\0"},
        {"key": b"a", "range_end": b"c", "filters": [rpc_pb2.WatchCreateRequest.NOPUT]},
        {"key": b"a", "range_end": b"c", "filters": [rpc_pb2.WatchCreateRequest.NODELETE]},
        {"range_end": b"\0"},
        {"key": b""},
    ]
    stream = Watch(either.watch.Watch())
    for options in wanted:
        await stream.create(**options)
        await stream.next()
    await put(either, b"a", b"c")
    await put(either, b"b")
    await delete(either, b"a")
    told: dict[int, list[Any]] = {number: [] for number in range(len(wanted))}
    while sum(map(len, told.values())) < 14:
        response = await stream.next()
        told[response.watch_id] += seen(list(response.events))
    a, c, b, gone = ("put", b"a", 2), ("put", b"c", 2), ("put", b"b", 3), ("delete", b"a", 4)
    assert told == {
        0: [a, gone], 1: [a, b, gone], 2: [c, b], 3: [gone], 4: [a, b], 5: [a, c, b, gone], 6: [],
    }  # fmt: skip
    stream.call.cancel()


async def test_a_revision_is_never_split_unless_allowed(either: Client) -> None:
    """Of values of 1 MB each, in one revision, with the revision before."""
    for number in range(6):
        await put(either, b"%d" % number, value=bytes(1_000_000))
    await either.kv.DeleteRange(rpc_pb2.DeleteRangeRequest(key=b"0", range_end=b"\0"))
    for fragment in (False, True):
        stream = await either.watching(
            key=b"0", range_end=b"\0", start_revision=8, prev_kv=True, fragment=fragment
        )
        await stream.next()
        sizes, more = [], True
        while more:
            response = await stream.next()
            sizes.append(len(response.events))
            assert response.watch_id == 0
            more = response.fragment
        assert sum(sizes) == 6
        assert (len(sizes) > 1) == fragment
        stream.call.cancel()


async def test_order_is_by_revision_and_then_as_the_transaction_wrote(either: Client) -> None:
    stream = await either.watching(range_end=b"\0")
    await stream.next()
    await put(either, b"z", b"a", b"m")
    await put(either, b"b", b"a")
    assert seen(await stream.events(5)) == [
        ("put", b"z", 2), ("put", b"a", 2), ("put", b"m", 2), ("put", b"b", 3), ("put", b"a", 3),
    ]  # fmt: skip
    stream.call.cancel()


async def test_compaction_ends_a_watch_of_what_it_forgot_only(either: Client) -> None:
    for _ in range(4):
        await put(either, b"a")
    live = await either.watching(key=b"a")
    await live.next()
    await either.kv.Compact(rpc_pb2.CompactionRequest(revision=4))
    for start, canceled in ((3, True), (4, False)):
        stream = await either.watching(key=b"a", start_revision=start)
        assert (await stream.next()).created
        response = anonymous(await stream.next())
        assert response.canceled == canceled
        assert response.compact_revision == (4 if canceled else 0)
        assert response.cancel_reason == ""
        assert seen(list(response.events)) == (
            [] if canceled else [("put", b"a", 4), ("put", b"a", 5)]
        )
        stream.call.cancel()
    await put(either, b"a")
    assert seen(await live.events(1)) == [("put", b"a", 6)]
    live.call.cancel()


async def test_a_client_that_asks_nothing_more_is_still_told(either: Client) -> None:
    stream = await either.watching(key=b"a")
    await stream.call.done_writing()
    await stream.next()
    await put(either, b"a")
    assert seen(await stream.events(1)) == [("put", b"a", 2)]
    stream.call.cancel()


async def test_a_reader_that_is_slow_misses_nothing(either: Client) -> None:
    """Far more than the transport holds on its way waits to be read."""
    stream = await either.watching(key=b"a")
    await stream.next()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(200):
            tasks.create_task(put(either, b"a", value=bytes(50_000)))
    events = await stream.events(200)
    assert [event.kv.mod_revision for event in events] == list(range(2, 202))
    stream.call.cancel()
