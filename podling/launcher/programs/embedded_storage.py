"""The API server's storage over the store in the same process, called directly.

No gRPC and no copying: the store's records have the very fields of the storage interface, in the
same order (a test holds the two together), so they are handed on as they are.
"""

from collections.abc import AsyncIterator, Sequence
from typing import cast

from podling.controlplane.apiserver.storage import interface as storage
from podling.controlplane.apiserver.storage.interface import (
    GetResult,
    KeyValue,
    ListResult,
    WatchBatch,
    WriteResult,
)
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.key_values import KeyValue as Record
from podling.controlplane.store.store import Store
from podling.controlplane.store.watch_streams import WatchStream


class EmbeddedStorage:
    """Implements `podling.controlplane.apiserver.storage.interface.Storage`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, key: bytes) -> GetResult:
        response = await self._range(rq.RangeRequest(key))
        return GetResult(_first(response.kvs), response.revision)

    async def list(
        self, start: bytes, end: bytes, *, limit: int = 0, revision: int = 0
    ) -> ListResult:
        response = await self._range(rq.RangeRequest(start, end, limit, revision))
        return ListResult(_shared(response.kvs), response.total, response.revision)

    async def put(
        self, key: bytes, value: bytes, *, expected_revision: int, lease: int = 0
    ) -> WriteResult:
        return await self._write(key, expected_revision, rq.PutRequest(key, value, lease))

    async def delete(self, key: bytes, *, expected_revision: int) -> WriteResult:
        request = rq.DeleteRangeRequest(key, prev_kv=True)
        return await self._write(key, expected_revision, request)

    async def watch(self, start: bytes, end: bytes, *, after_revision: int) -> storage.Watch:
        if after_revision + 1 < self._store.compact_revision:
            raise storage.Compacted(self._store.compact_revision)
        stream = self._store.watch_stream()
        created = stream.create(
            rq.WatchCreateRequest(start, end, start_revision=after_revision + 1, prev_kv=True),
            user=self._store.auth.root(),
        )
        if created.canceled:
            stream.close()
            raise storage.StorageError(created.cancel_reason)
        return EmbeddedWatch(self._store, stream)

    async def grant_lease(self, ttl: int) -> int:
        try:
            return (
                await self._store.lease_grant(
                    rq.LeaseGrantRequest(ttl), user=self._store.auth.root()
                )
            ).id
        except errors.StoreError as error:
            raise _of_write(error) from error

    async def compact(self, revision: int) -> None:
        try:
            await self._store.compact(rq.CompactionRequest(revision), user=self._store.auth.root())
        except errors.Compacted:
            return
        except errors.StoreError as error:
            raise _of_write(error) from error

    async def _range(self, request: rq.RangeRequest) -> rq.RangeResponse:
        try:
            return await self._store.range(request, user=self._store.auth.root())
        except errors.StoreError as error:
            raise _of_read(error) from error

    async def _write(
        self, key: bytes, expected_revision: int, write: rq.PutRequest | rq.DeleteRangeRequest
    ) -> WriteResult:
        unchanged = rq.Compare(key, rq.CompareTarget.MOD, rq.CompareResult.EQUAL, expected_revision)
        try:
            response = await self._store.txn(
                rq.TxnRequest((unchanged,), (write,), (rq.RangeRequest(key),)),
                user=self._store.auth.root(),
            )
        except errors.StoreError as error:
            raise _of_write(error) from error
        (done,) = response.responses
        current = None
        if isinstance(done, rq.RangeResponse):
            current = _first(done.kvs)
        elif isinstance(done, rq.DeleteRangeResponse):
            current = _first(done.prev_kvs)
        return WriteResult(response.succeeded, response.revision, current)


class EmbeddedWatch:
    """Implements `podling.controlplane.apiserver.storage.interface.Watch`.

    A reader that is too slow costs no memory; it ends with `Compacted` if history goes away
    before it was read.
    """

    def __init__(self, store: Store, stream: WatchStream) -> None:
        self._store = store
        self._stream = stream
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[WatchBatch]:
        while True:
            try:
                response = await self._stream.next()
            except errors.StoreError as error:
                if self._closed:
                    return
                raise storage.Unavailable(f"watch ended: {error}") from error
            if response.created:
                continue
            if response.canceled:
                raise storage.Compacted(response.compact_revision)
            events = cast(Sequence[storage.Event], response.events)
            yield WatchBatch(events, response.revision)

    async def request_progress(self) -> None:
        try:
            await self._store.linearize()
        except errors.StoreError as error:
            raise _of_read(error) from error
        self._stream.request_progress()

    async def close(self) -> None:
        self._closed = True
        self._stream.close()


def _shared(kvs: Sequence[Record]) -> Sequence[KeyValue]:
    """The same records, by the name that they have on the other side of the interface."""
    return cast(Sequence[KeyValue], kvs)


def _first(kvs: Sequence[Record]) -> KeyValue | None:
    return _shared(kvs)[0] if kvs else None


def _of_read(error: errors.StoreError) -> storage.StorageError:
    if isinstance(error, errors.Compacted):
        return storage.Compacted(error.compact_revision)
    kinds: dict[type[errors.StoreError], type[storage.StorageError]] = {
        errors.FutureRevision: storage.FutureRevision,
        errors.NoLeader: storage.Unavailable,
        errors.LeaderChanged: storage.Unavailable,
        errors.Stopped: storage.Unavailable,
        errors.Timeout: storage.Unavailable,
        errors.TooManyRequests: storage.TooManyRequests,
        errors.RequestTooLarge: storage.TooLarge,
        errors.NoSpace: storage.NoSpace,
    }
    return kinds.get(type(error), storage.StorageError)(str(error))


def _of_write(error: errors.StoreError) -> storage.StorageError:
    """As of a read, except that a write without an answer may have happened."""
    if isinstance(error, errors.Timeout):
        return storage.OutcomeUnknown(str(error))
    return _of_read(error)
