"""The Lease service."""

from collections.abc import AsyncIterator

from podling.controlplane.etcdpb import rpc_pb2, rpc_pb2_grpc
from podling.controlplane.store import requests as rq
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.etcd.rpc_errors import Context, answered
from podling.controlplane.store.store import Store


class LeaseService(rpc_pb2_grpc.LeaseServicer):
    """etcdserverpb.Lease"""

    def __init__(self, store: Store, writer: ResponseWriter) -> None:
        self._store = store
        self._writer = writer

    async def LeaseGrant(
        self, request: rpc_pb2.LeaseGrantRequest, context: Context
    ) -> rpc_pb2.LeaseGrantResponse:
        asked = rq.LeaseGrantRequest(ttl=request.TTL, id=request.ID)
        answer = await answered(context, self._store.lease_grant(asked))
        return rpc_pb2.LeaseGrantResponse(
            header=self._writer.header(answer.revision), ID=answer.id, TTL=answer.ttl
        )

    async def LeaseRevoke(
        self, request: rpc_pb2.LeaseRevokeRequest, context: Context
    ) -> rpc_pb2.LeaseRevokeResponse:
        asked = rq.LeaseRevokeRequest(request.ID)
        answer = await answered(context, self._store.lease_revoke(asked))
        return rpc_pb2.LeaseRevokeResponse(header=self._writer.header(answer.revision))

    async def LeaseKeepAlive(
        self, requests: AsyncIterator[rpc_pb2.LeaseKeepAliveRequest], context: Context
    ) -> AsyncIterator[rpc_pb2.LeaseKeepAliveResponse]:
        async for request in requests:
            asked = rq.LeaseKeepAliveRequest(request.ID)
            answer = await answered(context, self._store.lease_keep_alive(asked))
            yield rpc_pb2.LeaseKeepAliveResponse(
                header=self._writer.header(answer.revision), ID=answer.id, TTL=answer.ttl
            )

    async def LeaseTimeToLive(
        self, request: rpc_pb2.LeaseTimeToLiveRequest, context: Context
    ) -> rpc_pb2.LeaseTimeToLiveResponse:
        answer = await answered(context, self._store.lease_time_to_live(request.ID))
        return rpc_pb2.LeaseTimeToLiveResponse(
            header=self._writer.header(answer.revision),
            ID=answer.id,
            TTL=answer.ttl,
            grantedTTL=answer.granted_ttl,
            keys=answer.keys if request.keys else (),
        )

    async def LeaseLeases(
        self, request: rpc_pb2.LeaseLeasesRequest, context: Context
    ) -> rpc_pb2.LeaseLeasesResponse:
        answer = await answered(context, self._store.lease_leases())
        return rpc_pb2.LeaseLeasesResponse(
            header=self._writer.header(answer.revision),
            leases=[rpc_pb2.LeaseStatus(ID=each) for each in answer.ids],
        )
