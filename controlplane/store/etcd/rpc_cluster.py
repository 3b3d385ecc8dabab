"""The Cluster and Maintenance services, as far as one that does not change its members has them."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass

from podling.controlplane.etcdpb import rpc_pb2, rpc_pb2_grpc
from podling.controlplane.store import errors
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.etcd.rpc_errors import Context, answered, unimplemented
from podling.controlplane.store.store import Store

#: What clients are told: the etcd release whose API and promises this store has. kube-apiserver
#: relies on progress requests from 3.5.13 on.
VERSION = "3.6.0"
STORAGE_VERSION = "3.6.0"


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """What clients may know of a member."""

    id: int
    name: str
    peer_urls: Sequence[str]
    client_urls: Sequence[str]


class ClusterService(rpc_pb2_grpc.ClusterServicer):
    """etcdserverpb.Cluster"""

    def __init__(self, store: Store, writer: ResponseWriter, members: Sequence[MemberInfo]) -> None:
        self._store = store
        self._writer = writer
        self._members = [
            rpc_pb2.Member(
                ID=each.id, name=each.name, peerURLs=each.peer_urls, clientURLs=each.client_urls
            )
            for each in members
        ]

    async def MemberList(
        self, request: rpc_pb2.MemberListRequest, context: Context
    ) -> rpc_pb2.MemberListResponse:
        if request.linearizable:
            await answered(context, self._store.linearize())
        return rpc_pb2.MemberListResponse(header=self._writer.header(), members=self._members)

    async def MemberAdd(
        self, request: rpc_pb2.MemberAddRequest, context: Context
    ) -> rpc_pb2.MemberAddResponse:
        await unimplemented(context, "etcdserverpb.Cluster", "MemberAdd")

    async def MemberRemove(
        self, request: rpc_pb2.MemberRemoveRequest, context: Context
    ) -> rpc_pb2.MemberRemoveResponse:
        await unimplemented(context, "etcdserverpb.Cluster", "MemberRemove")

    async def MemberUpdate(
        self, request: rpc_pb2.MemberUpdateRequest, context: Context
    ) -> rpc_pb2.MemberUpdateResponse:
        await unimplemented(context, "etcdserverpb.Cluster", "MemberUpdate")

    async def MemberPromote(
        self, request: rpc_pb2.MemberPromoteRequest, context: Context
    ) -> rpc_pb2.MemberPromoteResponse:
        await unimplemented(context, "etcdserverpb.Cluster", "MemberPromote")


class MaintenanceService(rpc_pb2_grpc.MaintenanceServicer):
    """etcdserverpb.Maintenance"""

    def __init__(self, store: Store, writer: ResponseWriter) -> None:
        self._store = store
        self._writer = writer

    async def Alarm(self, request: rpc_pb2.AlarmRequest, context: Context) -> rpc_pb2.AlarmResponse:
        """There are no alarms to list, to raise or to clear."""
        return rpc_pb2.AlarmResponse(header=self._writer.header(self._store.revision))

    async def Status(
        self, request: rpc_pb2.StatusRequest, context: Context
    ) -> rpc_pb2.StatusResponse:
        status = self._store.status()
        replica = status.replica
        return rpc_pb2.StatusResponse(
            header=self._writer.header(status.revision),
            version=VERSION,
            dbSize=status.size,
            leader=replica.leader_id,
            raftIndex=replica.commit_index,
            raftTerm=replica.term,
            raftAppliedIndex=replica.applied_index,
            errors=[] if replica.leader_id else [errors.NoLeader.text],
            dbSizeInUse=status.size,
            storageVersion=STORAGE_VERSION,
            dbSizeQuota=status.quota,
        )

    async def Defragment(
        self, request: rpc_pb2.DefragmentRequest, context: Context
    ) -> rpc_pb2.DefragmentResponse:
        """Memory needs none."""
        return rpc_pb2.DefragmentResponse(header=self._writer.header(self._store.revision))

    async def Hash(self, request: rpc_pb2.HashRequest, context: Context) -> rpc_pb2.HashResponse:
        answer = await answered(context, self._store.hash_kv(0))
        return rpc_pb2.HashResponse(header=self._writer.header(answer.revision), hash=answer.hash)

    async def HashKV(
        self, request: rpc_pb2.HashKVRequest, context: Context
    ) -> rpc_pb2.HashKVResponse:
        answer = await answered(context, self._store.hash_kv(request.revision))
        return rpc_pb2.HashKVResponse(
            header=self._writer.header(answer.revision),
            hash=answer.hash,
            compact_revision=answer.compact_revision,
            hash_revision=answer.hash_revision,
        )

    async def MoveLeader(
        self, request: rpc_pb2.MoveLeaderRequest, context: Context
    ) -> rpc_pb2.MoveLeaderResponse:
        await answered(context, self._store.move_leader(request.targetID))
        return rpc_pb2.MoveLeaderResponse(header=self._writer.header())

    async def Snapshot(
        self, request: rpc_pb2.SnapshotRequest, context: Context
    ) -> AsyncIterator[rpc_pb2.SnapshotResponse]:
        refusal: Awaitable[None] = unimplemented(context, "etcdserverpb.Maintenance", "Snapshot")
        await refusal
        yield rpc_pb2.SnapshotResponse()
