"""The KV service: decode, ask the store, encode."""

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store import requests as rq
from podling.controlplane.store.etcd import messages
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.store import Store


class KVService:
    """etcdserverpb.KV"""

    def __init__(self, store: Store, writer: ResponseWriter) -> None:
        self._store = store
        self._writer = writer

    async def range(self, request: rpc_pb2.RangeRequest, caller: Caller) -> rpc_pb2.RangeResponse:
        return self._writer.range(await self._store.range(messages.range_request(request)))

    async def put(self, request: rpc_pb2.PutRequest, caller: Caller) -> rpc_pb2.PutResponse:
        return self._writer.put(await self._store.put(messages.put_request(request)))

    async def delete_range(
        self, request: rpc_pb2.DeleteRangeRequest, caller: Caller
    ) -> rpc_pb2.DeleteRangeResponse:
        asked = messages.delete_range_request(request)
        return self._writer.delete_range(await self._store.delete_range(asked))

    async def txn(self, request: rpc_pb2.TxnRequest, caller: Caller) -> rpc_pb2.TxnResponse:
        return self._writer.txn(await self._store.txn(messages.txn_request(request)))

    async def compact(
        self, request: rpc_pb2.CompactionRequest, caller: Caller
    ) -> rpc_pb2.CompactionResponse:
        asked = rq.CompactionRequest(request.revision, request.physical)
        answer = await self._store.compact(asked)
        return rpc_pb2.CompactionResponse(header=self._writer.header(answer.revision))
