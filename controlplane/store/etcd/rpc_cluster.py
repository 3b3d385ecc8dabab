"""The Cluster service."""

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.replica.members.membership import Membership
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.callers_store import check_admin, check_known
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.store import Store


class ClusterService:
    """etcdserverpb.Cluster"""

    def __init__(self, store: Store, writer: ResponseWriter) -> None:
        self._store = store
        self._writer = writer

    async def member_add(
        self, request: rpc_pb2.MemberAddRequest, caller: Caller
    ) -> rpc_pb2.MemberAddResponse:
        await check_admin(self._store, caller)
        added = await self._store.members.add(request.peerURLs, learner=request.isLearner)
        members = _messages(added.membership)
        return rpc_pb2.MemberAddResponse(
            header=self._header(),
            member=next(each for each in members if added.member_id == each.ID),
            members=members,
        )

    async def member_remove(
        self, request: rpc_pb2.MemberRemoveRequest, caller: Caller
    ) -> rpc_pb2.MemberRemoveResponse:
        await check_admin(self._store, caller)
        membership = await self._store.members.remove(request.ID)
        return rpc_pb2.MemberRemoveResponse(header=self._header(), members=_messages(membership))

    async def member_update(
        self, request: rpc_pb2.MemberUpdateRequest, caller: Caller
    ) -> rpc_pb2.MemberUpdateResponse:
        await check_admin(self._store, caller)
        membership = await self._store.members.update(request.ID, request.peerURLs)
        return rpc_pb2.MemberUpdateResponse(header=self._header(), members=_messages(membership))

    async def member_list(
        self, request: rpc_pb2.MemberListRequest, caller: Caller
    ) -> rpc_pb2.MemberListResponse:
        if request.linearizable:
            await self._store.linearize()
        await check_known(self._store, caller)
        members = _messages(self._store.members.now)
        return rpc_pb2.MemberListResponse(header=self._header(), members=members)

    async def member_promote(
        self, request: rpc_pb2.MemberPromoteRequest, caller: Caller
    ) -> rpc_pb2.MemberPromoteResponse:
        await check_admin(self._store, caller)
        membership = await self._store.members.promote(request.ID)
        return rpc_pb2.MemberPromoteResponse(header=self._header(), members=_messages(membership))

    def _header(self) -> rpc_pb2.ResponseHeader:
        return self._writer.header(self._store.revision)


def _messages(membership: Membership) -> list[rpc_pb2.Member]:
    return [
        rpc_pb2.Member(
            ID=number,
            name=each.name,
            peerURLs=each.peer_urls,
            clientURLs=each.client_urls,
            isLearner=each.learner,
        )
        for number, each in membership.members.items()
    ]
