"""The Cluster service."""

from collections.abc import Sequence
from dataclasses import dataclass

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.callers_store import check_known
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.store import Store


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """What clients may know of a member."""

    id: int
    name: str
    peer_urls: Sequence[str]
    client_urls: Sequence[str]


class ClusterService:
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

    async def member_list(
        self, request: rpc_pb2.MemberListRequest, caller: Caller
    ) -> rpc_pb2.MemberListResponse:
        if request.linearizable:
            await self._store.linearize()
        await check_known(self._store, caller)
        return rpc_pb2.MemberListResponse(header=self._writer.header(), members=self._members)
