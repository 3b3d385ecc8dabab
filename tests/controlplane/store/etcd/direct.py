"""The etcd API called as a front calls it, without the gRPC library."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store.etcd import etcd_api
from podling.controlplane.store.etcd.caller import ANYBODY, Caller
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.etcd.methods import Method
from podling.controlplane.store.store import Store


class DirectClient:
    """Calls each method with encoded messages, by its path: `KV/Put`, `v3lockpb.Lock/Lock`."""

    def __init__(self, store: Store) -> None:
        writer = ResponseWriter(1, 2, lambda: store.status().replica.term)
        self.methods = etcd_api.methods(store, writer, leader_timeout=1.0)

    async def call(self, path: str, request: Any, caller: Caller = ANYBODY) -> Any:
        method = self._method(path)
        decoded = method.request.FromString(request.SerializeToString())
        return _sent(await method.handler(decoded, caller))

    async def stream(
        self, path: str, requests: AsyncIterator[Any], caller: Caller = ANYBODY
    ) -> AsyncIterator[Any]:
        method = self._method(path)
        async for response in method.handler(requests, caller):
            yield _sent(response)

    def _method(self, path: str) -> Method:
        return self.methods[f"/{path}" if "." in path else f"/etcdserverpb.{path}"]


def _sent(response: Any) -> Any:
    return type(response).FromString(response.SerializeToString())


async def messages(several: Iterable[Any]) -> AsyncIterator[Any]:
    for each in several:
        yield each


def watch(**options: Any) -> rpc_pb2.WatchRequest:
    return rpc_pb2.WatchRequest(create_request=rpc_pb2.WatchCreateRequest(**options))
