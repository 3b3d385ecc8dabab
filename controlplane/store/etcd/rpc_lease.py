"""The Lease service."""

from collections.abc import AsyncIterator

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store import requests as rq
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.callers_store import identity_of
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.store import Store


class LeaseService:
    """etcdserverpb.Lease"""

    def __init__(self, store: Store, writer: ResponseWriter) -> None:
        self._store = store
        self._writer = writer

    async def lease_grant(
        self, request: rpc_pb2.LeaseGrantRequest, caller: Caller
    ) -> rpc_pb2.LeaseGrantResponse:
        asked = rq.LeaseGrantRequest(ttl=request.TTL, id=request.ID)
        user = await identity_of(self._store, caller)
        answer = await self._store.lease_grant(asked, user=user)
        return rpc_pb2.LeaseGrantResponse(
            header=self._writer.header(answer.revision), ID=answer.id, TTL=answer.ttl
        )

    async def lease_revoke(
        self, request: rpc_pb2.LeaseRevokeRequest, caller: Caller
    ) -> rpc_pb2.LeaseRevokeResponse:
        user = await identity_of(self._store, caller)
        answer = await self._store.lease_revoke(rq.LeaseRevokeRequest(request.ID), user=user)
        return rpc_pb2.LeaseRevokeResponse(header=self._writer.header(answer.revision))

    async def lease_keep_alive(
        self, requests: AsyncIterator[rpc_pb2.LeaseKeepAliveRequest], caller: Caller
    ) -> AsyncIterator[rpc_pb2.LeaseKeepAliveResponse]:
        async for request in requests:
            asked, user = (
                rq.LeaseKeepAliveRequest(request.ID),
                await identity_of(self._store, caller),
            )
            answer = await self._store.lease_keep_alive(asked, user=user)
            yield rpc_pb2.LeaseKeepAliveResponse(
                header=self._writer.header(answer.revision), ID=answer.id, TTL=answer.ttl
            )

    async def lease_time_to_live(
        self, request: rpc_pb2.LeaseTimeToLiveRequest, caller: Caller
    ) -> rpc_pb2.LeaseTimeToLiveResponse:
        user = await identity_of(self._store, caller)
        answer = await self._store.lease_time_to_live(request.ID, keys=request.keys, user=user)
        return rpc_pb2.LeaseTimeToLiveResponse(
            header=self._writer.header(answer.revision),
            ID=answer.id,
            TTL=answer.ttl,
            grantedTTL=answer.granted_ttl,
            keys=answer.keys,
        )

    async def lease_leases(
        self, request: rpc_pb2.LeaseLeasesRequest, caller: Caller
    ) -> rpc_pb2.LeaseLeasesResponse:
        answer = await self._store.lease_leases(user=await identity_of(self._store, caller))
        return rpc_pb2.LeaseLeasesResponse(
            header=self._writer.header(answer.revision),
            leases=[rpc_pb2.LeaseStatus(ID=each) for each in answer.ids],
        )
