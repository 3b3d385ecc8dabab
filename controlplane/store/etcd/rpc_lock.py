"""The Lock service (etcd: server/etcdserver/api/v3lock)."""

from podling.controlplane.etcdpb import lock_pb2
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.etcd.callers_store import CallersStore
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.etcd.waiting_line import WaitingLine, kept_lease
from podling.controlplane.store.store import Store


class LockService:
    """v3lockpb.Lock"""

    def __init__(self, store: Store, writer: ResponseWriter) -> None:
        self._store = store
        self._writer = writer

    async def lock(self, request: lock_pb2.LockRequest, caller: Caller) -> lock_pb2.LockResponse:
        """Raises LeaseNotFound, and SessionExpired if the lease ran out while waiting.

        The lease is renewed until the lock is held. Whoever stops waiting leaves the line.
        """
        store = CallersStore(self._store, caller)
        line = WaitingLine(store, request.name)
        async with kept_lease(store, request.lease) as lease:
            place = await line.wait(lease)
        held = await store.range(rq.RangeRequest(place.key))
        if not held.kvs:
            raise errors.SessionExpired
        return lock_pb2.LockResponse(header=self._writer.header(held.revision), key=place.key)

    async def unlock(
        self, request: lock_pb2.UnlockRequest, caller: Caller
    ) -> lock_pb2.UnlockResponse:
        store = CallersStore(self._store, caller)
        answer = await store.delete_range(rq.DeleteRangeRequest(request.key))
        return lock_pb2.UnlockResponse(header=self._writer.header(answer.revision))
