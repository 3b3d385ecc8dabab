"""The KV service: decode, ask the store, encode."""

from podling.controlplane.etcdpb import rpc_pb2, rpc_pb2_grpc
from podling.controlplane.store import requests as rq
from podling.controlplane.store.etcd import messages
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.etcd.rpc_errors import Context, answered
from podling.controlplane.store.store import Store


class KVService(rpc_pb2_grpc.KVServicer):
    """etcdserverpb.KV"""

    def __init__(self, store: Store, writer: ResponseWriter) -> None:
        self._store = store
        self._writer = writer

    async def Range(self, request: rpc_pb2.RangeRequest, context: Context) -> rpc_pb2.RangeResponse:
        return await answered(context, self._range(request))

    async def Put(self, request: rpc_pb2.PutRequest, context: Context) -> rpc_pb2.PutResponse:
        answer = await answered(context, self._store.put(messages.put_request(request)))
        return self._writer.put(answer)

    async def DeleteRange(
        self, request: rpc_pb2.DeleteRangeRequest, context: Context
    ) -> rpc_pb2.DeleteRangeResponse:
        asked = messages.delete_range_request(request)
        return self._writer.delete_range(await answered(context, self._store.delete_range(asked)))

    async def Txn(self, request: rpc_pb2.TxnRequest, context: Context) -> rpc_pb2.TxnResponse:
        return await answered(context, self._txn(request))

    async def Compact(
        self, request: rpc_pb2.CompactionRequest, context: Context
    ) -> rpc_pb2.CompactionResponse:
        asked = rq.CompactionRequest(request.revision, request.physical)
        answer = await answered(context, self._store.compact(asked))
        return rpc_pb2.CompactionResponse(header=self._writer.header(answer.revision))

    async def _range(self, request: rpc_pb2.RangeRequest) -> rpc_pb2.RangeResponse:
        return self._writer.range(await self._store.range(messages.range_request(request)))

    async def _txn(self, request: rpc_pb2.TxnRequest) -> rpc_pb2.TxnResponse:
        return self._writer.txn(await self._store.txn(messages.txn_request(request)))
