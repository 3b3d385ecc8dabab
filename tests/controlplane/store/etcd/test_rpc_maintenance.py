"""The maintenance service: snapshots that restore, checksums, leadership, status."""

import hashlib
from typing import Any

import pytest

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.etcd.caller import ANYBODY
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.etcd.rpc_maintenance import MaintenanceService
from podling.controlplane.store.machine import snapshots
from podling.controlplane.store.store import Store
from tests.controlplane.store.etcd.direct import DirectClient
from tests.controlplane.store.members import Members
from tests.waiting import until


@pytest.fixture
def client(member: Store) -> DirectClient:
    return DirectClient(member)


async def put(store: Store, *values: bytes) -> None:
    for value in values:
        await store.put(rq.PutRequest(b"a", value))


async def snapshot(client: DirectClient) -> list[Any]:
    stream = client.stream("Maintenance/Snapshot", rpc_pb2.SnapshotRequest())
    return [each async for each in stream]


async def test_a_snapshot_is_the_whole_store_and_its_checksum(
    client: DirectClient, member: Store
) -> None:
    await put(member, b"1", b"x" * 100_000, b"3")
    *pieces, last = await snapshot(client)
    state = b"".join(piece.blob for piece in pieces)
    assert last.blob == hashlib.sha256(state).digest()
    restored = snapshots.read([state]).store
    assert restored.revision == member.revision == 4
    assert [len(kv.value) for kv in restored.live_records()] == [1]
    assert {len(piece.blob) > 64 * 1024 for piece in pieces} == {False}
    assert {piece.version for piece in pieces} == {"3.6.0"}


async def test_a_snapshot_says_how_much_is_to_come(client: DirectClient, member: Store) -> None:
    await put(member, *[b"x" * 1000] * 200)
    *pieces, last = await snapshot(client)
    size = sum(len(piece.blob) for piece in pieces)
    assert size % 512 == 0
    for piece in pieces:
        size -= len(piece.blob)
        assert piece.remaining_bytes == size
    assert last.remaining_bytes == 0


async def test_a_snapshot_is_of_one_revision_whatever_happens_meanwhile(
    client: DirectClient, member: Store
) -> None:
    await put(member, *[b"x" * 1000] * 600)
    stream = client.stream("Maintenance/Snapshot", rpc_pb2.SnapshotRequest())
    pieces = [await anext(stream)]
    await put(member, b"later")
    await member.compact(rq.CompactionRequest(member.revision))
    pieces += [each async for each in stream]
    restored = snapshots.read([b"".join(piece.blob for piece in pieces[:-1])]).store
    assert restored.revision == 601


async def test_dropping_a_snapshot_lets_history_go(client: DirectClient, member: Store) -> None:
    await put(member, *[b"x" * 1000] * 600)
    stream: Any = client.stream("Maintenance/Snapshot", rpc_pb2.SnapshotRequest())
    await anext(stream)
    await stream.aclose()
    before = member.status().size
    await member.compact(rq.CompactionRequest(member.revision, physical=True))
    assert member.status().size < before / 10


async def test_a_snapshot_that_nobody_reads_is_given_up(member: Store) -> None:
    await put(member, *[b"x" * 1000] * 600)
    writer = ResponseWriter(1, 1, lambda: 1)
    service = MaintenanceService(member, writer, snapshot_patience=0.01)
    stream = service.snapshot(rpc_pb2.SnapshotRequest(), ANYBODY)
    await anext(stream)
    await member.compact(rq.CompactionRequest(member.revision))
    await until(lambda: member.status().size < 10_000, "compacted history is freed")
    with pytest.raises(errors.Timeout):
        async for _ in stream:
            continue


async def test_checksums_of_revisions(client: DirectClient, member: Store) -> None:
    async def hash_at(revision: int) -> Any:
        return await client.call("Maintenance/HashKV", rpc_pb2.HashKVRequest(revision=revision))

    await put(member, b"1", b"2", b"3")
    third = await hash_at(3)
    assert (third.hash_revision, third.header.revision) == (3, 4)
    now = await hash_at(0)
    assert now.hash_revision == 4
    assert now.hash == (await hash_at(4)).hash == (await hash_at(-1)).hash != third.hash
    whole = await client.call("Maintenance/Hash", rpc_pb2.HashRequest())
    assert whole.hash
    with pytest.raises(errors.FutureRevision):
        await hash_at(5)
    await member.compact(rq.CompactionRequest(3))
    assert (await hash_at(3)).compact_revision == 3
    with pytest.raises(errors.Compacted):
        await hash_at(2)


async def test_only_the_leader_hands_leadership_over(members: Members) -> None:
    servers = await members.start(3)
    leader = await members.leader()
    follower = next(each for each in servers if each is not leader)
    follower_id = follower.store.status().replica.member_id
    request = rpc_pb2.MoveLeaderRequest(targetID=follower_id)
    with pytest.raises(errors.NotLeader, match="etcdserver: not leader"):
        await DirectClient(follower.store).call("Maintenance/MoveLeader", request)
    unknown = rpc_pb2.MoveLeaderRequest(targetID=4711)
    with pytest.raises(errors.BadLeaderTransferee):
        await DirectClient(leader.store).call("Maintenance/MoveLeader", unknown)
    await DirectClient(leader.store).call("Maintenance/MoveLeader", request)
    assert leader.store.members.leader == follower_id


async def test_the_status_says_all(members: Members, client: DirectClient, member: Store) -> None:
    await members.upgraded()
    await put(member, b"1")
    status = await client.call("Maintenance/Status", rpc_pb2.StatusRequest())
    known = member.status()
    assert status == rpc_pb2.StatusResponse(
        header=rpc_pb2.ResponseHeader(
            cluster_id=1, member_id=2, revision=2, raft_term=known.replica.term
        ),
        version="3.6.0",
        storageVersion="3.6.0",
        dbSize=known.size,
        dbSizeInUse=known.size,
        dbSizeQuota=known.quota,
        leader=known.replica.member_id,
        raftIndex=known.replica.commit_index,
        raftAppliedIndex=known.replica.applied_index,
        raftTerm=known.replica.term,
    )


async def test_defragmenting_costs_nothing(client: DirectClient, member: Store) -> None:
    await put(member, b"1")
    answer = await client.call("Maintenance/Defragment", rpc_pb2.DefragmentRequest())
    assert answer.header.revision == 2
