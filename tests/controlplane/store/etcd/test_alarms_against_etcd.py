"""Alarms as a client sees them: alike on our store and on a real etcd."""

from typing import Any

import grpc.aio
import pytest

from podling.controlplane.etcdpb import rpc_pb2
from tests.controlplane.store.etcd.clients import Client
from tests.controlplane.store.members import PATIENCE

GET, RAISE, CLEAR = range(3)
NONE, NOSPACE, CORRUPT = range(3)

NO_SPACE = "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded"
CORRUPTED = "DATA_LOSS: etcdserver: corrupt cluster"


async def ask(method: Any, request: Any) -> str:
    try:
        await method(request, timeout=PATIENCE)
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name}: {error.details()}"
    return "OK"


async def alarm(client: Client, action: int, member: int, kind: int) -> list[tuple[int, int]]:
    """The alarms in the answer."""
    request = rpc_pb2.AlarmRequest(action=action, memberID=member, alarm=kind)  # type: ignore[arg-type]
    answer = await client.maintenance.Alarm(request, timeout=PATIENCE)
    return [(each.memberID, each.alarm) for each in answer.alarms]


@pytest.fixture
async def client(either: Client) -> Client:
    """With the key a and the leases 1 and 2."""
    await either.kv.Put(rpc_pb2.PutRequest(key=b"a", value=b"1"))
    for lease in (1, 2):
        await either.lease.LeaseGrant(rpc_pb2.LeaseGrantRequest(TTL=600, ID=lease))
    return either


def requests(client: Client) -> dict[str, tuple[Any, Any]]:
    """One of each kind, in the order in which they are asked."""
    put = rpc_pb2.PutRequest(key=b"a", value=b"2")
    delete = rpc_pb2.DeleteRangeRequest(key=b"b")
    operation = rpc_pb2.RequestOp
    return {
        "put": (client.kv.Put, put),
        "put in a transaction": (
            client.kv.Txn,
            rpc_pb2.TxnRequest(success=[operation(request_put=put)]),
        ),
        "put in the branch not taken": (
            client.kv.Txn,
            rpc_pb2.TxnRequest(failure=[operation(request_put=put)]),
        ),
        "delete in a transaction": (
            client.kv.Txn,
            rpc_pb2.TxnRequest(success=[operation(request_delete_range=delete)]),
        ),
        "read in a transaction": (
            client.kv.Txn,
            rpc_pb2.TxnRequest(success=[operation(request_range=rpc_pb2.RangeRequest(key=b"a"))]),
        ),
        "delete": (client.kv.DeleteRange, delete),
        "read": (client.kv.Range, rpc_pb2.RangeRequest(key=b"a")),
        "compact": (client.kv.Compact, rpc_pb2.CompactionRequest(revision=2)),
        "grant": (client.lease.LeaseGrant, rpc_pb2.LeaseGrantRequest(TTL=600)),
        "revoke": (client.lease.LeaseRevoke, rpc_pb2.LeaseRevokeRequest(ID=1)),
        "time left": (client.lease.LeaseTimeToLive, rpc_pb2.LeaseTimeToLiveRequest(ID=2)),
        "list": (client.maintenance.Alarm, rpc_pb2.AlarmRequest()),
        "status": (client.maintenance.Status, rpc_pb2.StatusRequest()),
    }


async def refused(client: Client) -> dict[str, str]:
    answers = {name: await ask(*call) for name, call in requests(client).items()}
    return {name: answer for name, answer in answers.items() if answer != "OK"}


async def test_without_space_nothing_is_added(client: Client) -> None:
    assert await alarm(client, RAISE, 5, NOSPACE) == [(5, NOSPACE)]
    assert await refused(client) == dict.fromkeys(
        ["put", "put in a transaction", "put in the branch not taken", "grant"], NO_SPACE
    )
    assert await alarm(client, CLEAR, 5, NOSPACE) == [(5, NOSPACE)]
    assert await ask(*requests(client)["put"]) == "OK"


async def test_what_is_corrupt_is_not_changed(client: Client) -> None:
    assert await alarm(client, RAISE, 5, CORRUPT) == [(5, CORRUPT)]
    changing = [
        "put", "put in a transaction", "put in the branch not taken", "delete in a transaction",
        "delete", "compact", "grant", "revoke",
    ]  # fmt: skip
    assert await refused(client) == dict.fromkeys(changing, CORRUPTED)
    assert await alarm(client, CLEAR, 5, CORRUPT) == [(5, CORRUPT)]
    assert await refused(client) == {}


async def test_alarms_are_each_members_own_and_stay_until_taken_back(client: Client) -> None:
    assert await alarm(client, GET, 0, NONE) == []
    assert await alarm(client, CLEAR, 5, NOSPACE) == []
    assert await alarm(client, RAISE, 5, NOSPACE) == [(5, NOSPACE)]
    assert await alarm(client, RAISE, 5, NOSPACE) == [(5, NOSPACE)]
    assert await alarm(client, RAISE, 6, NOSPACE) == [(6, NOSPACE)]
    assert sorted(await alarm(client, GET, 0, NONE)) == [(5, NOSPACE), (6, NOSPACE)]
    assert await alarm(client, CLEAR, 5, NOSPACE) == [(5, NOSPACE)]
    # Another member is still without space.
    assert await ask(*requests(client)["put"]) == NO_SPACE
    assert await alarm(client, RAISE, 6, CORRUPT) == [(6, CORRUPT)]
    assert sorted(await alarm(client, GET, 0, NONE)) == [(6, NOSPACE), (6, CORRUPT)]
    assert await alarm(client, GET, 0, NOSPACE) == [(6, NOSPACE)]
    assert await alarm(client, GET, 0, CORRUPT) == [(6, CORRUPT)]
    for kind in (NOSPACE, CORRUPT):
        assert await alarm(client, CLEAR, 6, kind) == [(6, kind)]
    assert await ask(*requests(client)["put"]) == "OK"


async def test_the_status_of_a_member_tells_of_alarms(client: Client) -> None:
    await alarm(client, RAISE, 5, NOSPACE)
    status = await client.maintenance.Status(rpc_pb2.StatusRequest())
    assert list(status.errors) == ["memberID:5 alarm:NOSPACE "]
