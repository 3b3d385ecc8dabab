"""One member as a client sees it: requests in etcd's terms over gRPC, without any repetition."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

import grpc
import grpc.aio

from podling.controlplane.etcdpb import rpc_pb2, rpc_pb2_grpc
from podling.controlplane.store import requests as rq
from podling.simulate.histories import Outcome
from tests.faults import messages

OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 * 2**20),
)

REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""Nothing was changed, says whoever answers so."""

UNDONE = ("etcdserver: no leader", "failed to connect to all addresses")
"""Texts of UNAVAILABLE that say that nothing was proposed: no leader, or never sent at all."""


def classify(error: Exception) -> Outcome | None:
    """For a RecordingClient."""
    if isinstance(error, TimeoutError):
        return Outcome.UNKNOWN
    if not isinstance(error, grpc.aio.AioRpcError):
        return None
    text = error.details() or ""
    if error.code() in REFUSALS or text.startswith(UNDONE):
        return Outcome.FAILED
    return Outcome.UNKNOWN


def reason(error: BaseException) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return repr(error)


class EtcdClient:
    """Knows one member only. Use as an async context."""

    def __init__(self, address: str, timeout: float = 0.6) -> None:
        """`timeout` in seconds, of one request."""
        self.address = address
        self.timeout = timeout
        self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        kv = rpc_pb2_grpc.KVStub(self._channel)
        lease = rpc_pb2_grpc.LeaseStub(self._channel)
        self._lease = lease
        self._cluster = rpc_pb2_grpc.ClusterStub(self._channel)
        self._watch = rpc_pb2_grpc.WatchStub(self._channel)
        self._maintenance = rpc_pb2_grpc.MaintenanceStub(self._channel)
        self._calls: Mapping[type, tuple[Any, Any, Any]] = {
            rq.RangeRequest: (messages.range_message, kv.Range, messages.range_response),
            rq.PutRequest: (messages.put_message, kv.Put, messages.put_response),
            rq.DeleteRangeRequest: (
                messages.delete_range_message,
                kv.DeleteRange,
                messages.delete_range_response,
            ),
            rq.TxnRequest: (messages.txn_message, kv.Txn, messages.txn_response),
            rq.CompactionRequest: (
                lambda r: rpc_pb2.CompactionRequest(revision=r.revision, physical=r.physical),
                kv.Compact,
                lambda m: rq.CompactionResponse(m.header.revision),
            ),
            rq.LeaseGrantRequest: (
                lambda r: rpc_pb2.LeaseGrantRequest(TTL=r.ttl, ID=r.id),
                lease.LeaseGrant,
                lambda m: rq.LeaseGrantResponse(m.header.revision, m.ID, m.TTL),
            ),
            rq.LeaseRevokeRequest: (
                lambda r: rpc_pb2.LeaseRevokeRequest(ID=r.id),
                lease.LeaseRevoke,
                lambda m: rq.LeaseRevokeResponse(m.header.revision),
            ),
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close(None)

    async def do(self, request: Any, timeout: float = 0.0) -> Any:
        """`timeout` instead of the usual one. Raises AioRpcError."""
        if isinstance(request, rq.LeaseKeepAliveRequest):
            return await self._keep_alive(request)
        encode, call, decode = self._calls[type(request)]
        return decode(await call(encode(request), timeout=timeout or self.timeout))

    async def _keep_alive(self, request: rq.LeaseKeepAliveRequest) -> rq.LeaseKeepAliveResponse:
        call = self._lease.LeaseKeepAlive(timeout=self.timeout)
        try:
            await call.write(rpc_pb2.LeaseKeepAliveRequest(ID=request.id))
            answer = await call.read()
            if answer is grpc.aio.EOF:
                raise TimeoutError("the stream of renewals ended")
            return rq.LeaseKeepAliveResponse(answer.header.revision, answer.ID, answer.TTL)
        except asyncio.InvalidStateError as error:
            raise TimeoutError("the stream of renewals broke") from error
        finally:
            call.cancel()

    async def watch(self, request: rq.WatchCreateRequest) -> AsyncIterator[rq.WatchResponse]:
        """Until it breaks: raises AioRpcError."""
        call = self._watch.Watch()
        create = rpc_pb2.WatchCreateRequest(
            key=request.key,
            range_end=request.range_end,
            start_revision=request.start_revision,
            prev_kv=request.prev_kv,
        )
        try:
            await call.write(rpc_pb2.WatchRequest(create_request=create))
            while (answer := await call.read()) is not grpc.aio.EOF:
                yield rq.WatchResponse(
                    answer.header.revision,
                    answer.watch_id,
                    answer.created,
                    answer.canceled,
                    answer.compact_revision,
                    answer.cancel_reason,
                    tuple(messages.event(each) for each in answer.events),
                )
        finally:
            call.cancel()

    async def hash_kv(self, revision: int, timeout: float) -> rpc_pb2.HashKVResponse:
        request = rpc_pb2.HashKVRequest(revision=revision)
        answer: rpc_pb2.HashKVResponse = await self._maintenance.HashKV(request, timeout=timeout)
        return answer

    async def status(self) -> rpc_pb2.StatusResponse:
        answer: rpc_pb2.StatusResponse = await self._maintenance.Status(
            rpc_pb2.StatusRequest(), timeout=self.timeout
        )
        return answer

    async def member_add(self, peer_url: str, *, learner: bool = False) -> None:
        request = rpc_pb2.MemberAddRequest(peerURLs=[peer_url], isLearner=learner)
        await self._cluster.MemberAdd(request, timeout=self.timeout)

    async def member_id(self, peer_url: str) -> int:
        """Of the member with this peer URL."""
        request = rpc_pb2.MemberListRequest(linearizable=True)
        answer = await self._cluster.MemberList(request, timeout=self.timeout)
        (found,) = (each.ID for each in answer.members if peer_url in each.peerURLs)
        return int(found)

    async def member_promote(self, member_id: int) -> None:
        request = rpc_pb2.MemberPromoteRequest(ID=member_id)
        await self._cluster.MemberPromote(request, timeout=self.timeout)

    async def member_remove(self, member_id: int) -> None:
        request = rpc_pb2.MemberRemoveRequest(ID=member_id)
        await self._cluster.MemberRemove(request, timeout=self.timeout)
