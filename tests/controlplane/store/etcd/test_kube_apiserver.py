"""Every request that a real kube-apiserver sends (1.32 to 1.37), with the exact answer.

Each runs on our store and on a real etcd, so that what is expected here is what etcd does.
"""

import re
from typing import Any

import grpc.aio

from podling.controlplane.etcdpb import kv_pb2, rpc_pb2
from tests.controlplane.store.etcd.clients import Client, anonymous, refusal

PODS = b"/registry/pods/"
#: The end of the range of everything below it: "0" follows "/".
PODS_END = b"/registry/pods0"
ONE, TWO, THREE = (PODS + name for name in (b"a/one", b"a/two", b"b/three"))


def header(revision: int) -> rpc_pb2.ResponseHeader:
    return rpc_pb2.ResponseHeader(revision=revision)


def kv(key: bytes, value: bytes, created: int, modified: int, version: int, lease: int = 0) -> Any:
    return kv_pb2.KeyValue(
        key=key, value=value, create_revision=created, mod_revision=modified, version=version,
        lease=lease,
    )  # fmt: skip


def if_at(key: bytes, revision: int) -> rpc_pb2.Compare:
    """What every write of an object depends on: nobody changed it since."""
    return rpc_pb2.Compare(
        key=key, target=rpc_pb2.Compare.MOD, result=rpc_pb2.Compare.EQUAL, mod_revision=revision
    )


def put(key: bytes, value: bytes, lease: int = 0) -> rpc_pb2.RequestOp:
    request = rpc_pb2.PutRequest(key=key, value=value, lease=lease)
    return rpc_pb2.RequestOp(request_put=request)


def get(key: bytes) -> rpc_pb2.RequestOp:
    return rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key))


def put_done(revision: int) -> rpc_pb2.ResponseOp:
    return rpc_pb2.ResponseOp(response_put=rpc_pb2.PutResponse(header=header(revision)))


def got(revision: int, *kvs: Any) -> rpc_pb2.ResponseOp:
    found = rpc_pb2.RangeResponse(header=header(revision), kvs=kvs, count=len(kvs))
    return rpc_pb2.ResponseOp(response_range=found)


async def txn(client: Client, *compare: Any, then: Any, otherwise: Any = ()) -> Any:
    request = rpc_pb2.TxnRequest(compare=compare, success=then, failure=otherwise)
    return anonymous(await client.kv.Txn(request))


async def create(client: Client, key: bytes, value: bytes = b"v", lease: int = 0) -> Any:
    return await txn(client, if_at(key, 0), then=[put(key, value, lease)])


async def ranged(client: Client, **options: Any) -> Any:
    return anonymous(await client.kv.Range(rpc_pb2.RangeRequest(**options)))


async def test_create(either: Client) -> None:
    answer = await create(either, ONE, b"v1")
    assert answer == rpc_pb2.TxnResponse(header=header(2), succeeded=True, responses=[put_done(2)])
    assert await create(either, ONE, b"v2") == rpc_pb2.TxnResponse(header=header(2))


async def test_get_one(either: Client) -> None:
    await create(either, ONE, b"v1")
    await create(either, TWO, b"v1")
    assert await ranged(either, key=ONE, limit=1) == rpc_pb2.RangeResponse(
        header=header(3), kvs=[kv(ONE, b"v1", 2, 2, 1)], count=1
    )
    missing = await ranged(either, key=THREE, limit=1)
    assert missing == rpc_pb2.RangeResponse(header=header(3))
    before = await ranged(either, key=TWO, limit=1, revision=2)
    assert before == rpc_pb2.RangeResponse(header=header(3))


async def test_update_if_unchanged(either: Client) -> None:
    await create(either, ONE, b"v1")
    updated = await txn(either, if_at(ONE, 2), then=[put(ONE, b"v2")], otherwise=[get(ONE)])
    assert updated == rpc_pb2.TxnResponse(header=header(3), succeeded=True, responses=[put_done(3)])
    conflict = await txn(either, if_at(ONE, 2), then=[put(ONE, b"v3")], otherwise=[get(ONE)])
    assert conflict == rpc_pb2.TxnResponse(
        header=header(3), responses=[got(3, kv(ONE, b"v2", 2, 3, 2))]
    )


async def test_delete_if_unchanged(either: Client) -> None:
    await create(either, ONE, b"v1")
    delete = rpc_pb2.RequestOp(request_delete_range=rpc_pb2.DeleteRangeRequest(key=ONE))
    conflict = await txn(either, if_at(ONE, 9), then=[delete], otherwise=[get(ONE)])
    assert conflict == rpc_pb2.TxnResponse(
        header=header(2), responses=[got(2, kv(ONE, b"v1", 2, 2, 1))]
    )
    done = rpc_pb2.DeleteRangeResponse(header=header(3), deleted=1)
    assert await txn(either, if_at(ONE, 2), then=[delete], otherwise=[get(ONE)]) == (
        rpc_pb2.TxnResponse(
            header=header(3),
            succeeded=True,
            responses=[rpc_pb2.ResponseOp(response_delete_range=done)],
        )
    )
    gone = await txn(either, if_at(ONE, 2), then=[delete], otherwise=[get(ONE)])
    assert gone == rpc_pb2.TxnResponse(header=header(3), responses=[got(3)])


async def test_list_in_pages_at_one_revision(either: Client) -> None:
    for key in (ONE, TWO, THREE):
        await create(either, key)
    first = await ranged(either, key=PODS, range_end=PODS_END, limit=2)
    assert first == rpc_pb2.RangeResponse(
        header=header(4), kvs=[kv(ONE, b"v", 2, 2, 1), kv(TWO, b"v", 3, 3, 1)], more=True, count=3
    )
    await txn(either, if_at(THREE, 4), then=[put(THREE, b"changed")])
    continued = await ranged(either, key=TWO + b"\0", range_end=PODS_END, limit=2, revision=4)
    assert continued == rpc_pb2.RangeResponse(
        header=header(5), kvs=[kv(THREE, b"v", 4, 4, 1)], count=1
    )


async def test_a_streamed_list_is_not_offered(either: Client) -> None:
    stream: Any = either.channel.unary_stream("/etcdserverpb.KV/RangeStream")
    assert await refusal(stream(b"").read()) == (
        "UNIMPLEMENTED", "unknown method RangeStream for service etcdserverpb.KV"
    )  # fmt: skip


async def test_count_and_sizes(either: Client) -> None:
    for key in (ONE, TWO, THREE):
        await create(either, key)
    count = await ranged(either, key=PODS, range_end=PODS_END, count_only=True)
    assert count == rpc_pb2.RangeResponse(header=header(4), count=3)
    keys = await ranged(either, key=PODS, range_end=PODS_END, keys_only=True)
    assert [(each.key, each.value) for each in keys.kvs] == [(ONE, b""), (TWO, b""), (THREE, b"")]
    assert (await either.maintenance.Status(rpc_pb2.StatusRequest())).dbSize > 0


async def test_health_and_readiness(either: Client) -> None:
    answer = await ranged(either, key=b"/registry/health")
    assert answer == rpc_pb2.RangeResponse(header=header(1))


async def test_the_version_is_one(either: Client) -> None:
    """kube-apiserver parses it, and relies on progress requests from 3.5.13 on."""
    status = await either.maintenance.Status(rpc_pb2.StatusRequest())
    assert re.fullmatch(r"3\.\d+\.\d+", status.version)


async def test_a_watch_tells_what_was_there_before(either: Client) -> None:
    await create(either, ONE, b"v1")
    watch = await either.watching(
        ("hasleader", "true"),
        key=PODS, range_end=PODS_END, start_revision=3, prev_kv=True, progress_notify=True,
    )  # fmt: skip
    assert anonymous(await watch.next()) == rpc_pb2.WatchResponse(header=header(2), created=True)
    await txn(either, if_at(ONE, 2), then=[put(ONE, b"v2")])
    await create(either, TWO, b"v1")
    await either.kv.DeleteRange(rpc_pb2.DeleteRangeRequest(key=ONE))
    one, one_changed = kv(ONE, b"v1", 2, 2, 1), kv(ONE, b"v2", 2, 3, 2)
    assert await watch.events(3) == [
        kv_pb2.Event(kv=one_changed, prev_kv=one),
        kv_pb2.Event(kv=kv(TWO, b"v1", 4, 4, 1)),
        kv_pb2.Event(type=kv_pb2.Event.DELETE, kv=kv(ONE, b"", 0, 5, 0), prev_kv=one_changed),
    ]
    watch.call.cancel()


EVENT, ADDRESS = b"/registry/events/e", b"/registry/masterleases/10.0.0.1"


async def create_with_a_short_lease(client: Client) -> tuple[int, int]:
    """The event and the address: their lease, and the revision of the second.

    A second is long enough but for a machine that stops in between.
    """
    for _ in range(5):
        lease = (await client.lease.LeaseGrant(rpc_pb2.LeaseGrantRequest(TTL=1))).ID
        try:
            await create(client, EVENT, b"v", lease)
            return lease, (await create(client, ADDRESS, b"v", lease)).header.revision
        except grpc.aio.AioRpcError as gone:
            assert gone.details() == "etcdserver: requested lease not found"
    raise AssertionError("no lease lasts until two keys have it")


async def test_events_go_with_their_lease_and_are_told(either: Client) -> None:
    lease, last = await create_with_a_short_lease(either)
    assert lease > 0
    watch = await either.watching(
        key=b"/registry/", range_end=b"/registry0", start_revision=last + 1, prev_kv=True
    )
    await watch.next()
    events = await watch.events(2)
    assert [(event.type, event.kv.mod_revision) for event in events] == [(1, last + 1)] * 2
    # In which order a lease's keys go, etcd does not say.
    assert sorted((event.prev_kv for event in events), key=lambda each: each.key) == [
        kv(EVENT, b"v", last - 1, last - 1, 1, lease),
        kv(ADDRESS, b"v", last, last, 1, lease),
    ]
    watch.call.cancel()


async def test_compaction_by_whoever_wins(either: Client) -> None:
    for value in (b"1", b"2", b"3"):
        await either.kv.Put(rpc_pb2.PutRequest(key=ONE, value=value))
    watch = await either.watching(key=b"compact_rev_key", start_revision=5)
    await watch.next()
    never = rpc_pb2.Compare(
        key=b"compact_rev_key", target=rpc_pb2.Compare.VERSION, result=rpc_pb2.Compare.EQUAL,
        version=0,
    )  # fmt: skip
    mine = [put(b"compact_rev_key", b"4")]
    theirs = [get(b"compact_rev_key")]
    won = await txn(either, never, then=mine, otherwise=theirs)
    assert won == rpc_pb2.TxnResponse(header=header(5), succeeded=True, responses=[put_done(5)])
    record = kv(b"compact_rev_key", b"4", 5, 5, 1)
    lost = await txn(either, never, then=mine, otherwise=theirs)
    assert lost == rpc_pb2.TxnResponse(header=header(5), responses=[got(5, record)])
    assert await watch.events(1) == [kv_pb2.Event(kv=record)]
    compacted = await either.kv.Compact(rpc_pb2.CompactionRequest(revision=4))
    assert anonymous(compacted) == rpc_pb2.CompactionResponse(header=header(5))
    too_old = ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted")
    assert await refusal(ranged(either, key=ONE, revision=3)) == too_old
    assert await refusal(either.kv.Compact(rpc_pb2.CompactionRequest(revision=4))) == too_old
    assert (await ranged(either, key=ONE, revision=4)).kvs[0].value == b"3"
    await watch.create(key=ONE, start_revision=3)
    assert (await watch.next()).created
    canceled = anonymous(await watch.next())
    assert (canceled.watch_id, canceled.canceled, canceled.compact_revision) == (1, True, 4)
    assert not canceled.events
    watch.call.cancel()


async def test_a_future_revision_is_an_error(either: Client) -> None:
    assert await refusal(ranged(either, key=ONE, revision=9)) == (
        "OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision"
    )  # fmt: skip


async def test_what_clients_match_on(either: Client) -> None:
    unknown_lease = rpc_pb2.PutRequest(key=ONE, lease=4711)
    assert await refusal(either.kv.Put(unknown_lease)) == (
        "NOT_FOUND", "etcdserver: requested lease not found"
    )  # fmt: skip
    twice = rpc_pb2.TxnRequest(success=[put(ONE, b"1"), put(ONE, b"2")])
    assert await refusal(either.kv.Txn(twice)) == (
        "INVALID_ARGUMENT", "etcdserver: duplicate key given in txn request"
    )  # fmt: skip
    many = rpc_pb2.TxnRequest(success=[put(b"%d" % number, b"") for number in range(129)])
    assert await refusal(either.kv.Txn(many)) == (
        "INVALID_ARGUMENT", "etcdserver: too many operations in txn request"
    )  # fmt: skip
    large = rpc_pb2.PutRequest(key=ONE, value=bytes(1536 * 1024))
    assert await refusal(either.kv.Put(large)) == (
        "INVALID_ARGUMENT", "etcdserver: request is too large"
    )  # fmt: skip
    too_large = rpc_pb2.PutRequest(key=ONE, value=bytes(2048 * 1024))
    assert (await refusal(either.kv.Put(too_large)))[0] == "RESOURCE_EXHAUSTED"
    assert (await ranged(either, key=b"\0", range_end=b"\0")).header.revision == 1


async def test_progress_is_told_on_request(members: Any) -> None:
    """Ours only: etcd has it from 3.4.31 and 3.5.13 on without faults."""
    (server,) = await members.start(1, listen=True)
    async with grpc.aio.insecure_channel(members.endpoint(server)) as channel:
        client = Client(channel)
        await create(client, ONE)
        watch = await client.watching(key=PODS, range_end=PODS_END, start_revision=3)
        await watch.next()
        await create(client, b"/registry/other")
        await watch.ask_for_progress()
        told = anonymous(await watch.next())
        assert told == rpc_pb2.WatchResponse(header=header(3), watch_id=-1)
