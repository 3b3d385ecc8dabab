"""The Watch service: one stream of the client's requests, one of answers."""

from collections.abc import AsyncIterator
from contextlib import nullcontext

from podling.aiokit.tasks import TaskSet
from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store.etcd import messages
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.callers_store import create_watch
from podling.controlplane.store.etcd.leader_guard import LeaderGuard
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.store import Store
from podling.controlplane.store.watch_streams import WatchStream


class WatchService:
    """etcdserverpb.Watch

    A client that will ask nothing more (it closed its half of the stream) is still told of what it
    asked for, as by etcd. One that requires a leader is cut off with "no leader" when none has been
    known for `leader_timeout` seconds, so that it can look for another member.
    """

    def __init__(self, store: Store, writer: ResponseWriter, *, leader_timeout: float) -> None:
        self._store = store
        self._writer = writer
        self._leader_guard = LeaderGuard(store.members, leader_timeout)

    async def watch(
        self, requests: AsyncIterator[rpc_pb2.WatchRequest], caller: Caller
    ) -> AsyncIterator[rpc_pb2.WatchResponse]:
        stream = self._store.watch_stream()
        guard = self._leader_guard.guarded(stream) if caller.requires_leader else nullcontext()
        try:
            async with TaskSet("store/watch") as tasks:
                tasks.spawn(self._read(requests, caller, stream), name="requests")
                with guard:
                    while True:
                        yield self._writer.watch(await stream.next())
        finally:
            stream.close()

    async def _read(
        self, requests: AsyncIterator[rpc_pb2.WatchRequest], caller: Caller, stream: WatchStream
    ) -> None:
        try:
            async for request in requests:
                kind = request.WhichOneof("request_union")
                if kind == "create_request":
                    asked = messages.watch_create_request(request.create_request)
                    await create_watch(self._store, caller, stream, asked)
                elif kind == "cancel_request":
                    stream.cancel(request.cancel_request.watch_id)
                elif kind == "progress_request":
                    stream.request_progress()
                await stream.room()
        except errors.StoreError as error:
            stream.close(error)
