"""The KV service: decode, ask the store, encode."""

import asyncio

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store import requests as rq
from podling.controlplane.store.etcd import messages
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.callers_store import identity_of
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.store import Store

SLICE = 2000
"""Keys encoded between two turns of the event loop."""


class KVService:
    """etcdserverpb.KV"""

    def __init__(self, store: Store, writer: ResponseWriter) -> None:
        self._store = store
        self._writer = writer

    async def range(self, request: rpc_pb2.RangeRequest, caller: Caller) -> rpc_pb2.RangeResponse:
        asked, user = messages.range_request(request), await identity_of(self._store, caller)
        found = await self._store.range(asked, user=user)
        if len(found.kvs) <= SLICE:
            return self._writer.range(found)
        response = self._writer.range(found._replace(kvs=()))
        for at in range(0, len(found.kvs), SLICE):
            response.kvs.extend(map(messages.key_value, found.kvs[at : at + SLICE]))
            await asyncio.sleep(0)
        return response

    async def put(self, request: rpc_pb2.PutRequest, caller: Caller) -> rpc_pb2.PutResponse:
        asked, user = messages.put_request(request), await identity_of(self._store, caller)
        return self._writer.put(await self._store.put(asked, user=user))

    async def delete_range(
        self, request: rpc_pb2.DeleteRangeRequest, caller: Caller
    ) -> rpc_pb2.DeleteRangeResponse:
        asked, user = messages.delete_range_request(request), await identity_of(self._store, caller)
        return self._writer.delete_range(await self._store.delete_range(asked, user=user))

    async def txn(self, request: rpc_pb2.TxnRequest, caller: Caller) -> rpc_pb2.TxnResponse:
        asked, user = messages.txn_request(request), await identity_of(self._store, caller)
        return self._writer.txn(await self._store.txn(asked, user=user))

    async def compact(
        self, request: rpc_pb2.CompactionRequest, caller: Caller
    ) -> rpc_pb2.CompactionResponse:
        asked = rq.CompactionRequest(request.revision, request.physical)
        user = await identity_of(self._store, caller)
        answer = await self._store.compact(asked, user=user)
        return rpc_pb2.CompactionResponse(header=self._writer.header(answer.revision))
