"""Whatever is sent, a call ends with an answer or a refusal; what is refused changes nothing."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.etcd import etcd_api
from podling.controlplane.store.etcd.caller import ANYBODY, Caller
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.etcd.methods import Method
from podling.controlplane.store.store_server import StoreServer
from tests.controlplane.store.etcd.clients import Client, refusal
from tests.controlplane.store.etcd.direct import messages
from tests.controlplane.store.etcd.wild_messages import messages_of
from tests.controlplane.store.members import PATIENCE, Members, insist

#: Nothing changes by itself: no lease ends.
STILL = StoreConfig(
    min_lease_ttl=3600, housekeeping_interval=0.02, bcrypt_cost=4, request_timeout=2.0
)

#: These may wait for somebody else without end; long enough for them to have begun.
A_MOMENT = 0.02

fuzz = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large,
    ],
)  # fmt: skip

CALLERS = st.sampled_from(
    [ANYBODY, Caller(token="nonsense"), Caller(token="a.1"), Caller(certificate_name="root")]
)


def methods_of(server: StoreServer) -> dict[str, Method]:
    writer = ResponseWriter(1, 1, lambda: server.store.members.term)
    return dict(etcd_api.methods(server.store, writer, leader_timeout=1.0))


PATHS = {
    service.full_name: [f"/{service.full_name}/{method.name}" for method in service.methods]
    for file in etcd_api.FILES
    for service in file.DESCRIPTOR.services_by_name.values()
}


@pytest.fixture
async def server(members: Members) -> AsyncIterator[StoreServer]:
    """With some keys, a lease, a user and a role to run into."""
    (server,) = await members.start(1, STILL, listen=True)
    await members.upgraded()
    store = server.store
    await store.lease_grant(rq.LeaseGrantRequest(100, id=7))
    for key in (b"a", b"b", b"a"):
        await store.put(rq.PutRequest(key, b"1", lease=7))
    await store.compact(rq.CompactionRequest(2))
    yield server


def state_of(server: StoreServer) -> tuple[bytes, Any]:
    return b"".join(server.machine.snapshot()), server.store.members.now


async def alive(server: StoreServer) -> None:
    """It reads and writes. What was begun before and left is over then: writes keep their order."""
    store = server.store
    nothing = rq.DeleteRangeRequest(b"nothing")
    await insist(lambda: store.range(rq.RangeRequest(b"a"), user=store.auth.root()))
    # Corruption may have been proclaimed.
    with suppress(errors.Corrupt):
        await insist(lambda: store.delete_range(nothing, user=store.auth.root()))


@pytest.mark.parametrize("service", PATHS)
@fuzz
@given(data=st.data())
async def test_wild_messages_are_answered_or_refused(
    server: StoreServer, service: str, data: st.DataObject
) -> None:
    method = methods_of(server)[data.draw(st.sampled_from(PATHS[service]))]
    strategy = messages_of(method.request)
    asked = data.draw(st.lists(strategy, max_size=4) if method.streams_in else strategy)
    if method.request is rpc_pb2.MemberAddRequest:
        asked.isLearner = True  # as in etcd, the only voter could do nothing without a second one
    caller = data.draw(CALLERS)
    before = state_of(server)
    try:
        answers = await _call(method, asked, caller)
    except errors.StoreError as refused:
        assert refused.status in grpc.StatusCode.__members__
        if not isinstance(refused, errors.Timeout) and not method.streams_in:
            assert state_of(server) == before
    else:
        for answer in answers:
            assert isinstance(answer, method.response)
            assert method.response.FromString(answer.SerializeToString()) == answer
    await alive(server)


async def _call(method: Method, asked: Any, caller: Caller) -> list[Any]:
    """All answers, or those that came until nothing more did."""
    answers: list[Any] = []
    try:
        if not method.streams_out:
            async with asyncio.timeout(A_MOMENT if _may_wait(method) else PATIENCE):
                return [await method.handler(asked, caller)]
        requests = messages(asked) if method.streams_in else asked
        async with aclosing(method.handler(requests, caller)) as stream:
            async with asyncio.timeout(A_MOMENT):
                async for answer in stream:
                    answers.append(answer)
    except TimeoutError:
        assert _may_wait(method) or method.streams_out
    return answers


def _may_wait(method: Method) -> bool:
    return method.path in ("/v3lockpb.Lock/Lock", "/v3electionpb.Election/Campaign")


def garbage(dice: random.Random) -> list[bytes]:
    """Bytes that are no message, nearly one, or one of something else."""
    valid = rpc_pb2.TxnRequest(
        success=[rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=b"g"))]
    ).SerializeToString()
    flipped = bytearray(valid)
    flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
    return [
        b"", b"\0", b"\xff" * 100, dice.randbytes(50), valid[:-1], bytes(flipped),
        b"\x0a" + b"\xff" * 9 + b"\x01", dice.randbytes(5000),
    ]  # fmt: skip


@pytest.mark.parametrize("service", [*PATHS, "Nonsense"])
async def test_garbage_ends_with_a_status(
    server: StoreServer, members: Members, service: str
) -> None:
    dice = random.Random(service)
    async with grpc.aio.insecure_channel(members.endpoint(server)) as channel:
        for path in [*PATHS.get(service, ()), f"/{service}/Nonsense"]:
            ended = [_ended(channel.stream_stream(path), each) for each in garbage(dice)]
            assert all(await asyncio.gather(*ended)), path
            await alive(server)
        await Client(channel).kv.Range(rpc_pb2.RangeRequest(key=b"a", serializable=True))


async def _ended(method: Any, data: bytes) -> bool:
    """Whether the call is answered, or ended by the server or by its time."""
    call = method(messages([data]), timeout=0.3)
    async with asyncio.timeout(PATIENCE):
        try:
            async for _ in call:
                call.cancel()
                return True
        except grpc.aio.AioRpcError as error:
            # What the library says of an exception in a handler.
            return not str(error.details()).startswith("Unexpected")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The library's word for a call whose time was over before its request was written.
    return True


@pytest.mark.parametrize("depth", [40, 98, 2000])
async def test_transactions_within_transactions_end_somewhere(
    server: StoreServer, members: Members, depth: int
) -> None:
    """Written by hand, because the library would not make one that deep."""
    raw = b""
    for _ in range(depth):
        operation = b"\x22" + _length(raw) + raw
        raw = b"\x12" + _length(operation) + operation
    async with grpc.aio.insecure_channel(members.endpoint(server)) as channel:
        call: Any = channel.unary_unary("/etcdserverpb.KV/Txn")
        try:
            await call(raw)
            code = "OK"
        except grpc.aio.AioRpcError as refused:
            code = refused.code().name
    assert code == ("OK" if depth == 40 else "INTERNAL")
    await alive(server)


def _length(data: bytes) -> bytes:
    """As a varint of protobuf."""
    number, out = len(data), b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


async def test_what_is_no_http_2_hurts_nobody(server: StoreServer, members: Members) -> None:
    host, _, port = members.endpoint(server).rpartition(":")
    dice = random.Random(1)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for data in (
        b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", dice.randbytes(2000),
        preface + dice.randbytes(500), preface + bytes([255, 255, 255, 0, 0, 0, 0, 0, 1]),
    ):  # fmt: skip
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                await reader.read()
        writer.close()
    await alive(server)
    async with grpc.aio.insecure_channel(members.endpoint(server)) as channel:
        assert (await refusal(Client(channel).kv.Put(rpc_pb2.PutRequest())))[0] == (
            "INVALID_ARGUMENT"
        )
