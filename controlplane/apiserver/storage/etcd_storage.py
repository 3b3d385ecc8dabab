"""The API server's storage over the etcd v3 protocol, for any etcd.

It restricts itself to the requests kube-apiserver sends (KV.Range, KV.Txn with one compare,
KV.Compact, Lease.LeaseGrant, Watch with previous values), so whatever serves a kube-apiserver
serves this. All reads are linearizable.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import grpc.aio

from podling.controlplane.apiserver.storage import etcd_errors
from podling.controlplane.apiserver.storage.etcd_endpoints import (
    EtcdConfig,
    EtcdEndpoints,
    EtcdMember,
)
from podling.controlplane.apiserver.storage.interface import (
    Compacted,
    Event,
    GetResult,
    KeyValue,
    ListResult,
    Unavailable,
    WatchBatch,
    WriteResult,
)
from podling.controlplane.etcdpb import kv_pb2, rpc_pb2

# Ends a watch when the member it runs on has lost the leader (etcd's WithRequireLeader).
REQUIRE_LEADER = (("hasleader", "true"),)
FIRST_REVISION = 1


class EtcdStorage:
    """Component and `podling.controlplane.apiserver.storage.interface.Storage`."""

    name = "etcd-client"

    def __init__(self, config: EtcdConfig) -> None:
        self._timeout = config.timeout
        self._endpoints = EtcdEndpoints(config)

    async def start(self) -> None:
        """Connects when first used."""
        self._endpoints.start()

    async def stop(self) -> None:
        await self._endpoints.stop()

    async def get(self, key: bytes) -> GetResult:
        request = rpc_pb2.RangeRequest(key=key, limit=1)
        try:
            response = await self._range(request)
        except grpc.aio.AioRpcError as error:
            raise etcd_errors.to_storage_error(error, writing=False) from error
        return GetResult(_first(response.kvs), response.header.revision)

    async def list(
        self, start: bytes, end: bytes, *, limit: int = 0, revision: int = 0
    ) -> ListResult:
        request = rpc_pb2.RangeRequest(key=start, range_end=end, limit=limit, revision=revision)
        try:
            response = await self._range(request)
        except grpc.aio.AioRpcError as error:
            if etcd_errors.is_compacted(error):
                raise Compacted(await self._compact_revision()) from error
            raise etcd_errors.to_storage_error(error, writing=False) from error
        kvs = [_kv(kv) for kv in response.kvs]
        return ListResult(kvs, response.count, response.header.revision)

    async def put(
        self, key: bytes, value: bytes, *, expected_revision: int, lease: int = 0
    ) -> WriteResult:
        put = rpc_pb2.PutRequest(key=key, value=value, lease=lease)
        return await self._write(key, expected_revision, rpc_pb2.RequestOp(request_put=put))

    async def delete(self, key: bytes, *, expected_revision: int) -> WriteResult:
        # To etcd a key that does not exist has revision 0, and deleting nothing succeeds.
        delete = rpc_pb2.DeleteRangeRequest(key=key, prev_kv=True)
        operation = rpc_pb2.RequestOp(request_delete_range=delete)
        return await self._write(key, expected_revision, operation)

    async def _write(
        self, key: bytes, expected_revision: int, operation: rpc_pb2.RequestOp
    ) -> WriteResult:
        compare = rpc_pb2.Compare(
            result=rpc_pb2.Compare.EQUAL,
            target=rpc_pb2.Compare.MOD,
            key=key,
            mod_revision=expected_revision,
        )
        read = rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key, limit=1))
        request = rpc_pb2.TxnRequest(compare=[compare], success=[operation], failure=[read])
        try:
            response = await self._endpoints.write(
                lambda member: member.kv.Txn(request, timeout=self._timeout)
            )
        except grpc.aio.AioRpcError as error:
            raise etcd_errors.to_storage_error(error, writing=True) from error
        answer = response.responses[0]
        if not response.succeeded:
            current = _first(answer.response_range.kvs)
        else:
            current = _first(answer.response_delete_range.prev_kvs)
        return WriteResult(response.succeeded, response.header.revision, current)

    async def watch(self, start: bytes, end: bytes, *, after_revision: int) -> "EtcdWatch":
        *others, last = self._endpoints.in_turn()
        for member in others:
            try:
                return await self._watch_at(member, start, end, after_revision)
            except Unavailable:
                self._endpoints.avoid(member)
        return await self._watch_at(last, start, end, after_revision)

    async def _watch_at(
        self, member: EtcdMember, start: bytes, end: bytes, after_revision: int
    ) -> "EtcdWatch":
        watch = EtcdWatch(member.watches.Watch(metadata=REQUIRE_LEADER))
        create = rpc_pb2.WatchCreateRequest(
            key=start, range_end=end, start_revision=after_revision + 1, prev_kv=True
        )
        try:
            async with asyncio.timeout(self._timeout):
                await watch.send(rpc_pb2.WatchRequest(create_request=create))
                await watch.created()
        except BaseException as error:
            await watch.close()
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    f"{member.address} did not begin the watch within {self._timeout:g} s"
                ) from error
            raise
        return watch

    async def grant_lease(self, ttl: int) -> int:
        request = rpc_pb2.LeaseGrantRequest(TTL=ttl)
        try:
            response = await self._endpoints.write(
                lambda member: member.leases.LeaseGrant(request, timeout=self._timeout)
            )
        except grpc.aio.AioRpcError as error:
            raise etcd_errors.to_storage_error(error, writing=True) from error
        return response.ID

    async def compact(self, revision: int) -> None:
        try:
            request = rpc_pb2.CompactionRequest(revision=revision)
            await self._endpoints.write(
                lambda member: member.kv.Compact(request, timeout=self._timeout)
            )
        except grpc.aio.AioRpcError as error:
            if not etcd_errors.is_compacted(error):
                raise etcd_errors.to_storage_error(error, writing=True) from error

    async def _range(self, request: rpc_pb2.RangeRequest) -> rpc_pb2.RangeResponse:
        return await self._endpoints.read(
            lambda member: member.kv.Range(request, timeout=self._timeout)
        )

    async def _compact_revision(self) -> int:
        """The oldest revision that can be had: only a watch of older history is told it."""
        watch = await self.watch(b"\0", b"\0", after_revision=FIRST_REVISION - 1)
        try:
            async with asyncio.timeout(self._timeout):
                async for _ in watch:
                    break
        except Compacted as error:
            return error.compact_revision
        except TimeoutError as error:
            raise Unavailable(
                f"the store did not tell its oldest revision within {self._timeout:g} s"
            ) from error
        finally:
            await watch.close()
        return FIRST_REVISION


class EtcdWatch:
    """Implements storage.Watch over a stream of its own. gRPC's flow control bounds it."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._closed = False
        self._sending = asyncio.Lock()

    async def send(self, request: rpc_pb2.WatchRequest) -> None:
        try:
            async with self._sending:
                await self._call.write(request)
        except grpc.aio.AioRpcError as error:
            raise Unavailable(f"the watch is over: {error.details()}") from error
        except asyncio.InvalidStateError as error:
            raise Unavailable(f"the watch is over: {error}") from error
        except asyncio.CancelledError:
            if self._was_closed():
                raise Unavailable("the watch is over: it was closed") from None
            raise

    async def created(self) -> None:
        """Wait for the first answer. Raises Compacted."""
        response = await self._receive()
        if response is None:
            raise Unavailable("the watch was closed before it began")

    async def __aiter__(self) -> AsyncIterator[WatchBatch]:
        while (response := await self._receive()) is not None:
            if response.events:
                events = [_event(event) for event in response.events]
                yield WatchBatch(events, events[-1].kv.mod_revision)
            elif not response.created:
                yield WatchBatch((), response.header.revision)

    async def request_progress(self) -> None:
        progress = rpc_pb2.WatchProgressRequest()
        await self.send(rpc_pb2.WatchRequest(progress_request=progress))

    async def close(self) -> None:
        self._closed = True
        self._call.cancel()

    async def _receive(self) -> rpc_pb2.WatchResponse | None:
        """The next answer, or None if this side has closed."""
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            if self._closed:
                return None
            raise etcd_errors.to_storage_error(error, writing=False) from error
        except asyncio.CancelledError:
            if self._was_closed():
                return None
            raise
        if response is grpc.aio.EOF:
            if self._closed:
                return None
            raise Unavailable("the store ended the watch")
        if response.canceled:
            if response.compact_revision:
                raise Compacted(response.compact_revision)
            raise Unavailable(f"the store ended the watch: {response.cancel_reason}")
        answer: rpc_pb2.WatchResponse = response
        return answer

    def _was_closed(self) -> bool:
        """Closing cancels the call, and so whoever reads or writes it; their own tasks go on."""
        task = asyncio.current_task()
        return self._closed and task is not None and not task.cancelling()


def _kv(kv: kv_pb2.KeyValue) -> KeyValue:
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def _first(kvs: Sequence[kv_pb2.KeyValue]) -> KeyValue | None:
    return _kv(kvs[0]) if kvs else None


def _event(event: kv_pb2.Event) -> Event:
    previous = _kv(event.prev_kv) if event.HasField("prev_kv") else None
    return Event(_kv(event.kv), previous, event.type == kv_pb2.Event.DELETE)
