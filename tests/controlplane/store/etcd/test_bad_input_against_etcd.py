"""Requests that are wrong, and what they are refused with: by our store as by a real etcd."""

from typing import Any

import grpc.aio
import pytest

from podling.controlplane.etcdpb import rpc_pb2
from tests.controlplane.store.etcd.clients import Client
from tests.controlplane.store.members import PATIENCE

EMPTY = "INVALID_ARGUMENT: etcdserver: key is not provided"
NOT_FOUND = "INVALID_ARGUMENT: etcdserver: key not found"
VALUE = "INVALID_ARGUMENT: etcdserver: value is provided"
LEASE = "INVALID_ARGUMENT: etcdserver: lease is provided"
NO_LEASE = "NOT_FOUND: etcdserver: requested lease not found"
TOO_LARGE = "INVALID_ARGUMENT: etcdserver: request is too large"
TOO_MANY = "INVALID_ARGUMENT: etcdserver: too many operations in txn request"
DUPLICATE = "INVALID_ARGUMENT: etcdserver: duplicate key given in txn request"
FUTURE = "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision"
COMPACTED = "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted"
TTL = "OUT_OF_RANGE: etcdserver: too large lease TTL"
EXISTS = "FAILED_PRECONDITION: etcdserver: lease already exists"
TRANSFEREE = "FAILED_PRECONDITION: etcdserver: bad leader transferee"
OK = "OK"

MAX_OPS = 128


async def ask(method: Any, request: Any) -> str:
    try:
        await method(request, timeout=PATIENCE)
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name}: {error.details()}"
    return OK


def put(key: bytes = b"a", **options: Any) -> Any:
    return rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=key, **options))


def read(key: bytes = b"a", **options: Any) -> Any:
    return rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key, **options))


def delete(key: bytes = b"a", range_end: bytes = b"") -> Any:
    request = rpc_pb2.DeleteRangeRequest(key=key, range_end=range_end)
    return rpc_pb2.RequestOp(request_delete_range=request)


def txn(*then: Any, otherwise: Any = (), compare: Any = ()) -> Any:
    request = rpc_pb2.TxnRequest(compare=compare, success=then, failure=otherwise)
    return rpc_pb2.RequestOp(request_txn=request)


def compare(key: bytes = b"a") -> Any:
    return rpc_pb2.Compare(key=key)


@pytest.fixture
async def client(either: Client) -> Client:
    """With a at revisions 2 and 3."""
    for value in (b"1", b"2"):
        await either.kv.Put(rpc_pb2.PutRequest(key=b"a", value=value))
    return either


PUTS = [
    ({"key": b""}, EMPTY),
    ({"key": b"a", "value": b"1", "ignore_value": True}, VALUE),
    ({"key": b"a", "lease": 3, "ignore_lease": True}, LEASE),
    ({"key": b"a", "lease": 3, "ignore_value": True}, NO_LEASE),
    ({"key": b"a", "lease": -5}, NO_LEASE),
    ({"key": b"z", "ignore_value": True}, NOT_FOUND),
    ({"key": b"z", "ignore_lease": True}, NOT_FOUND),
    ({"key": b"z", "lease": 3, "ignore_value": True}, NO_LEASE),
    ({"key": b"a", "value": b"x" * 1_600_000}, TOO_LARGE),
    ({"key": b"x" * 1_600_000}, TOO_LARGE),
]


async def test_a_put_that_is_refused_changes_nothing(client: Client) -> None:
    for number, (options, expected) in enumerate(PUTS):
        answer = await ask(client.kv.Put, rpc_pb2.PutRequest(**options))  # type: ignore[arg-type]
        assert answer == expected, f"number {number}"
    found = await client.kv.Range(rpc_pb2.RangeRequest(key=b"\0", range_end=b"\0"))
    assert [(kv.key, kv.mod_revision) for kv in found.kvs] == [(b"a", 3)]


TRANSACTIONS = [
    (txn(put(b"")), EMPTY),
    (txn(read(b"")), EMPTY),
    (txn(delete(b"")), EMPTY),
    (txn(otherwise=[put(b"")]), EMPTY),
    (txn(compare=[compare(b"")]), EMPTY),
    (txn(txn(put(b""))), EMPTY),
    (txn(txn(compare=[compare(b"")])), EMPTY),
    (txn(rpc_pb2.RequestOp()), NOT_FOUND),
    (txn(put(ignore_value=True, value=b"1")), VALUE),
    (txn(put(ignore_lease=True, lease=1)), LEASE),
    (txn(put(b"z", ignore_value=True)), NOT_FOUND),
    (txn(put(b"z", ignore_value=True, lease=3)), NOT_FOUND),
    (txn(put(b"y"), put(b"z", lease=99)), NO_LEASE),
    (txn(put(b"y"), read(revision=99)), FUTURE),
    (txn(read(revision=99)), FUTURE),
    (txn(*(put(b"%d" % number, value=b"x" * 800_000) for number in range(2))), TOO_LARGE),
    (txn(*[read()] * (MAX_OPS + 1)), TOO_MANY),
    (txn(otherwise=[read()] * (MAX_OPS + 1)), TOO_MANY),
    (txn(compare=[compare()] * (MAX_OPS + 1)), TOO_MANY),
    (txn(txn(*[read()] * MAX_OPS)), TOO_MANY),
    (txn(txn(*[read()] * (MAX_OPS - 1)), read()), TOO_MANY),
    (txn(put(), put()), DUPLICATE),
    (txn(put(), delete()), DUPLICATE),
    (txn(delete(), put()), DUPLICATE),
    (txn(put(b"b"), delete(b"a", b"c")), DUPLICATE),
    (txn(put(), txn(put())), DUPLICATE),
    (txn(txn(put()), txn(otherwise=[put()])), DUPLICATE),
    (txn(txn(delete()), put()), DUPLICATE),
    (txn(put(), txn(delete())), DUPLICATE),
    (txn(delete(), txn(put())), DUPLICATE),
    (txn(txn(delete(b"a", b"c")), txn(put(b"b"))), DUPLICATE),
    (txn(txn(txn(put())), txn(put())), DUPLICATE),
]


async def test_a_transaction_that_is_refused_changes_nothing(client: Client) -> None:
    for number, (operation, expected) in enumerate(TRANSACTIONS):
        answer = await ask(client.kv.Txn, operation.request_txn)
        assert answer == expected, f"number {number}"
    found = await client.kv.Range(rpc_pb2.RangeRequest(key=b"\0", range_end=b"\0"))
    assert [(kv.key, kv.mod_revision) for kv in found.kvs] == [(b"a", 3)]


async def test_what_only_looks_wrong_is_done(client: Client) -> None:
    for operation in (
        txn(put(), otherwise=[put()]),
        txn(txn(put(), otherwise=[put()])),
        txn(txn(put(b"b")), txn(delete(b"a", b"c"))),
        txn(delete(), delete(b"a", b"c"), delete()),
        txn(txn(*[read()] * (MAX_OPS - 1))),
        txn(*[read()] * MAX_OPS),
        txn(),
        txn(txn()),
    ):
        assert await ask(client.kv.Txn, operation.request_txn) == OK
    for options in ({"revision": -1}, {"limit": -1}, {"range_end": b"\0", "limit": -1}):
        assert await ask(client.kv.Range, rpc_pb2.RangeRequest(key=b"a", **options)) == OK  # type: ignore[arg-type]


async def test_revisions_that_are_not_there(client: Client) -> None:
    kv = client.kv
    assert await ask(kv.Range, rpc_pb2.RangeRequest()) == EMPTY
    assert await ask(kv.DeleteRange, rpc_pb2.DeleteRangeRequest()) == EMPTY
    for revision, expected in ((4, FUTURE), (-5, COMPACTED), (0, OK), (0, COMPACTED), (3, OK)):
        compact = rpc_pb2.CompactionRequest(revision=revision)
        assert await ask(kv.Compact, compact) == expected
    for revision, expected in ((1, COMPACTED), (2, COMPACTED), (3, OK), (4, FUTURE)):
        assert await ask(kv.Range, rpc_pb2.RangeRequest(key=b"a", revision=revision)) == expected
        within = txn(read(revision=revision)).request_txn
        assert await ask(kv.Txn, within) == expected
        if revision != 3:
            # etcd's own hash does not reach the compact revision itself.
            hashed = rpc_pb2.HashKVRequest(revision=revision)
            assert await ask(client.maintenance.HashKV, hashed) == expected
    for revision, expected in ((3, COMPACTED), (2, COMPACTED), (99, FUTURE)):
        compact = rpc_pb2.CompactionRequest(revision=revision)
        assert await ask(kv.Compact, compact) == expected


async def test_leases_that_are_not_there_or_cannot_be(client: Client) -> None:
    lease = client.lease
    for options, expected in (
        ({"TTL": 9_000_000_001}, TTL),
        ({"TTL": 2**62}, TTL),
        ({"TTL": 0, "ID": 5}, OK),
        ({"TTL": -7, "ID": 6}, OK),
        ({"TTL": 60, "ID": 5}, EXISTS),
        ({"TTL": 60, "ID": -9}, OK),
    ):
        assert await ask(lease.LeaseGrant, rpc_pb2.LeaseGrantRequest(**options)) == expected
    for lease_id in (99, 0):
        assert await ask(lease.LeaseRevoke, rpc_pb2.LeaseRevokeRequest(ID=lease_id)) == NO_LEASE
        asked = rpc_pb2.LeaseTimeToLiveRequest(ID=lease_id)
        assert (await lease.LeaseTimeToLive(asked)).TTL == -1
    stream = lease.LeaseKeepAlive()
    await stream.write(rpc_pb2.LeaseKeepAliveRequest(ID=99))
    assert (await stream.read()).TTL == 0
    stream.cancel()


async def test_a_leader_that_is_no_member(client: Client) -> None:
    move = rpc_pb2.MoveLeaderRequest(targetID=7)
    assert await ask(client.maintenance.MoveLeader, move) == TRANSFEREE
