"""The gRPC face, through a real socket: codes, texts, streams, keep-alive and health."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from podling.controlplane.etcdpb import kv_pb2, rpc_pb2
from podling.controlplane.store.config import StoreConfig
from tests.controlplane.store.etcd.clients import Client, read, refusal
from tests.controlplane.store.members import PATIENCE, QUICK, Members
from tests.waiting import until


@pytest.fixture
async def client(members: Members) -> AsyncIterator[Client]:
    (server,) = await members.start(1, listen=True)
    async with grpc.aio.insecure_channel(members.endpoint(server)) as channel:
        yield Client(channel)


async def test_every_response_has_a_whole_header(client: Client) -> None:
    response = await client.kv.Put(rpc_pb2.PutRequest(key=b"a", value=b"1"))
    header = response.header
    assert header.revision == 2
    assert header.cluster_id
    assert header.member_id
    assert header.raft_term >= 1


async def test_calls_and_bytes_are_counted(client: Client, members: Members) -> None:
    listener = members.servers[0].listener
    assert listener is not None
    counted, request = listener.calls, rpc_pb2.PutRequest(key=b"a", value=b"1")
    response = await client.kv.Put(request)
    await refusal(client.kv.Put(rpc_pb2.PutRequest()))
    watch = client.watch.Watch()
    await watch.write(rpc_pb2.WatchRequest(create_request={"key": b"a"}))
    await watch.read()
    watch.cancel()
    calls = counted.methods
    put, watched = calls["/etcdserverpb.KV/Put"], calls["/etcdserverpb.Watch/Watch"]
    assert (put.started, put.succeeded, put.failures) == (2, 1, {"INVALID_ARGUMENT": 1})
    assert counted.received_bytes > request.ByteSize()
    assert counted.sent_bytes > response.ByteSize()
    await until(lambda: watched.failures == {"CANCELLED": 1}, "the end of the watch is counted")
    assert (watched.started, watched.succeeded) == (1, 0)


async def test_a_burst_of_calls_is_served(client: Client) -> None:
    """The library would end some as CANCELLED as soon as a thousand wait for their turn."""
    request = rpc_pb2.RangeRequest(key=b"a", serializable=True)
    answers = await asyncio.gather(
        *(client.kv.Range(request) for _ in range(1500)), return_exceptions=True
    )
    assert [each for each in answers if isinstance(each, Exception)] == []


@pytest.mark.parametrize(
    ("method", "request_", "code", "text"),
    [
        ("Put", rpc_pb2.PutRequest(), "INVALID_ARGUMENT", "etcdserver: key is not provided"),
        (
            "Put",
            rpc_pb2.PutRequest(key=b"a", lease=5),
            "NOT_FOUND",
            "etcdserver: requested lease not found",
        ),
        (
            "Put",
            rpc_pb2.PutRequest(key=b"a", value=b"x" * 1_600_000),
            "INVALID_ARGUMENT",
            "etcdserver: request is too large",
        ),
        (
            "Range",
            rpc_pb2.RangeRequest(key=b"a", revision=99),
            "OUT_OF_RANGE",
            "etcdserver: mvcc: required revision is a future revision",
        ),
        (
            "Range",
            rpc_pb2.RangeRequest(key=b"a", sort_order=9),  # type: ignore[arg-type]
            "INVALID_ARGUMENT",
            "etcdserver: invalid sort option",
        ),
        (
            "Txn",
            rpc_pb2.TxnRequest(success=[rpc_pb2.RequestOp()]),
            "INVALID_ARGUMENT",
            "etcdserver: key not found",
        ),
        (
            "Compact",
            rpc_pb2.CompactionRequest(revision=99),
            "OUT_OF_RANGE",
            "etcdserver: mvcc: required revision is a future revision",
        ),
    ],
)
async def test_refusals_have_the_code_and_text_of_etcd(
    client: Client, method: str, request_: Any, code: str, text: str
) -> None:
    assert await refusal(getattr(client.kv, method)(request_)) == (code, text)


async def test_what_is_not_served_is_unimplemented(client: Client) -> None:
    downgrade: Any = client.channel.unary_unary("/etcdserverpb.Maintenance/Downgrade")
    assert await refusal(downgrade(b"")) == (
        "UNIMPLEMENTED",
        "unknown method Downgrade for service etcdserverpb.Maintenance",
    )
    unknown: Any = client.channel.unary_unary("/etcdserverpb.KV/RangeStream")
    assert (await refusal(unknown(b"")))[0] == "UNIMPLEMENTED"


async def test_a_watch_stream_creates_tells_reports_and_cancels(client: Client) -> None:
    call = client.watch.Watch()
    create = rpc_pb2.WatchCreateRequest(key=b"a", prev_kv=True)
    await call.write(rpc_pb2.WatchRequest(create_request=create))
    created = await read(call)
    assert (created.created, created.watch_id) == (True, 0)
    for value in (b"1", b"2"):
        await client.kv.Put(rpc_pb2.PutRequest(key=b"a", value=value))
    await client.kv.DeleteRange(rpc_pb2.DeleteRangeRequest(key=b"a"))
    events: list[kv_pb2.Event] = []
    while len(events) < 3:
        events += (await read(call)).events
    assert [event.type for event in events] == [0, 0, 1]
    assert [event.prev_kv.value for event in events] == [b"", b"1", b"2"]
    progress = rpc_pb2.WatchProgressRequest()
    await call.write(rpc_pb2.WatchRequest(progress_request=progress))
    told = await read(call)
    assert (told.watch_id, told.header.revision, list(told.events)) == (-1, 4, [])
    cancel = rpc_pb2.WatchCancelRequest(watch_id=0)
    await call.write(rpc_pb2.WatchRequest(cancel_request=cancel))
    assert (await read(call)).canceled


async def test_a_client_that_asks_nothing_more_is_told_what_it_asked_for(client: Client) -> None:
    call = client.watch.Watch()
    create = rpc_pb2.WatchCreateRequest(key=b"a")
    await call.write(rpc_pb2.WatchRequest(create_request=create))
    await call.done_writing()
    assert (await read(call)).created
    await client.kv.Put(rpc_pb2.PutRequest(key=b"a"))
    assert len((await read(call)).events) == 1


async def test_leaving_a_watch_open_leaves_no_watcher_behind(
    members: Members, client: Client
) -> None:
    (server,) = members.servers
    call = client.watch.Watch()
    create = rpc_pb2.WatchCreateRequest(key=b"a")
    await call.write(rpc_pb2.WatchRequest(create_request=create))
    await read(call)
    assert server.store.status().watchers == 1
    call.cancel()
    await until(lambda: not server.store.status().watchers, "nobody watches any more")


async def test_a_watch_that_requires_a_leader_ends_without_one(members: Members) -> None:
    servers = await members.start(3, listen=True, election_timeout=QUICK)
    async with grpc.aio.insecure_channel(members.endpoint(servers[0])) as channel:
        call = Client(channel).watch.Watch(metadata=[("hasleader", "true")])
        create = rpc_pb2.WatchCreateRequest(key=b"a")
        await call.write(rpc_pb2.WatchRequest(create_request=create))
        await read(call)
        for server in servers[1:]:
            await members.stop(server)
        code, text = await refusal(read(call))
    assert (code, text) == ("UNAVAILABLE", "etcdserver: no leader")


async def test_leases_over_the_wire(members: Members, client: Client) -> None:
    members.clock.hold()
    granted = await client.lease.LeaseGrant(rpc_pb2.LeaseGrantRequest(TTL=60))
    await client.kv.Put(rpc_pb2.PutRequest(key=b"a", lease=granted.ID))
    keep_alive = client.lease.LeaseKeepAlive()
    for lease, ttl in ((granted.ID, 60), (12345, 0)):
        await keep_alive.write(rpc_pb2.LeaseKeepAliveRequest(ID=lease))
        assert ttl == (await read(keep_alive)).TTL
    await keep_alive.done_writing()
    asked = rpc_pb2.LeaseTimeToLiveRequest(ID=granted.ID, keys=True)
    members.clock.advance(7)
    found = await client.lease.LeaseTimeToLive(asked)
    assert (found.grantedTTL, list(found.keys)) == (60, [b"a"])
    assert found.TTL == 53
    await client.lease.LeaseRevoke(rpc_pb2.LeaseRevokeRequest(ID=granted.ID))
    assert (await client.kv.Range(rpc_pb2.RangeRequest(key=b"a"))).count == 0


async def test_the_status_is_that_of_an_etcd(members: Members, client: Client) -> None:
    (server,) = members.servers
    await members.upgraded()
    status = await client.maintenance.Status(rpc_pb2.StatusRequest())
    assert status.version.startswith("3.6.")
    assert status.leader == server.store.status().replica.member_id
    assert status.raftAppliedIndex == server.store.status().replica.applied_index
    found = await client.cluster.MemberList(rpc_pb2.MemberListRequest(linearizable=True))
    assert [member.name for member in found.members] == ["replica-1"]


async def test_it_is_healthy_by_the_health_protocol(client: Client) -> None:
    check: Any = health_pb2_grpc.HealthStub(client.channel)
    answer = await check.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PING, GOAWAY = 6, 7


def frame(kind: int, payload: bytes = b"") -> bytes:
    """An HTTP/2 frame of the connection (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + bytes(4) + payload


async def test_frequent_pings_are_no_reason_to_hang_up(members: Members) -> None:
    """Written by hand, because a client of the library would not ping as often as Go's do."""
    (server,) = await members.start(1, listen=True)
    host, _, port = members.endpoint(server).rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    settings = 4
    writer.write(PREFACE + frame(settings))
    async with asyncio.timeout(PATIENCE):
        for number in range(20):
            writer.write(frame(PING, bytes(8)))
            kind = 0
            while kind != PING:
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3], "big"))
                kind = head[3]
                assert kind != GOAWAY, f"hung up after {number} pings"
    writer.close()
    await writer.wait_closed()


async def test_stopping_tells_those_who_watch_at_once(members: Members) -> None:
    """Not only when the time for calls to end is over, with words of the library."""
    (server,) = await members.start(1, listen=True)
    async with grpc.aio.insecure_channel(members.endpoint(server)) as channel:
        watch = await Client(channel).watching(key=b"a")
        await watch.next()
        await members.stop(server)
        stopped = ("UNAVAILABLE", "etcdserver: server stopped")
        assert await refusal(watch.call.read()) == stopped


async def test_many_keys_are_all_there(client: Client) -> None:
    for hundred in range(45):
        puts = [rpc_pb2.PutRequest(key=b"%d-%d" % (hundred, each)) for each in range(100)]
        operations = [rpc_pb2.RequestOp(request_put=put) for put in puts]
        await client.kv.Txn(rpc_pb2.TxnRequest(success=operations))
    found = await client.kv.Range(rpc_pb2.RangeRequest(key=b"\0", range_end=b"\0"))
    assert len({kv.key for kv in found.kvs}) == len(found.kvs) == found.count == 4500
    assert [kv.key for kv in found.kvs] == sorted(kv.key for kv in found.kvs)


async def test_who_does_not_read_is_not_written_to(members: Members) -> None:
    """What waits for a slow client waits in the history, not in the library's buffers."""
    config = StoreConfig(max_pending_bytes=100_000, min_lease_ttl=1)
    (server,) = await members.start(1, config, listen=True)
    async with grpc.aio.insecure_channel(members.endpoint(server)) as channel:
        client = Client(channel)
        watch = await client.watching(key=b"a")
        await watch.next()
        for _ in range(60):
            await client.kv.Put(rpc_pb2.PutRequest(key=b"a", value=bytes(100_000)))
        (watcher,) = server.machine.watchers._all
        await until(lambda: not watcher.synced, "the watch falls behind")
        assert watcher.pending_bytes < 300_000
        events = await watch.events(60)
        assert [event.kv.mod_revision for event in events] == list(range(2, 62))


async def test_an_address_in_use_is_refused_with_its_name(members: Members) -> None:
    (server,) = await members.start(1, listen=True)
    with pytest.raises(OSError, match=members.endpoint(server)):
        await members.listen_too(members.endpoint(server))
