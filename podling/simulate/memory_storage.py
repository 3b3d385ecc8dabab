"""A `Storage` in the memory of one process, for simulation and for tests.

It keeps every version of every key until it is compacted. It passes the same contract suite as the
stores that keep data on disk.
"""

import asyncio
import bisect
from collections import deque
from collections.abc import AsyncIterator
from operator import attrgetter

from sortedcontainers import SortedDict

from podling.controlplane.apiserver.storage.interface import (
    Compacted,
    Event,
    FutureRevision,
    GetResult,
    KeyValue,
    ListResult,
    StorageError,
    TooManyRequests,
    WatchBatch,
    WriteResult,
)

WATCH_BACKLOG_MAX = 100_000
"""Events that a watch may fall behind before it is ended."""

_mod_revision = attrgetter("mod_revision")


class MemoryStorage:
    """Implements the API server's `Storage`; leases run on the loop's clock.

    `fail_next` makes a call fail on purpose, which is how a simulation shows its users a store that
    has lost its quorum or that leaves the outcome of a write open.
    """

    def __init__(self, watch_backlog_max: int = WATCH_BACKLOG_MAX) -> None:
        self._revision = 1
        self._compacted = 0
        self._versions: SortedDict = SortedDict()
        """Key -> its versions in order of revision. A deletion is one with `version` 0."""
        self._log: list[Event] = []
        """Every event after `_compacted`."""
        self._watches: set[MemoryWatch] = set()
        self._leases: dict[int, set[bytes]] = {}
        self._last_lease = 0
        self._backlog_max = watch_backlog_max
        self._faults: deque[tuple[StorageError, bool]] = deque()

    def fail_next(self, error: StorageError, *, applied: bool = False) -> None:
        """Make the next call raise `error`; with `applied`, a write has happened nevertheless."""
        self._faults.append((error, applied))

    async def get(self, key: bytes) -> GetResult:
        self._fail_read()
        return GetResult(self._latest(key), self._revision)

    async def list(
        self, start: bytes, end: bytes, *, limit: int = 0, revision: int = 0
    ) -> ListResult:
        self._fail_read()
        if revision > self._revision:
            raise FutureRevision(f"revision {revision} has not happened, now is {self._revision}")
        if revision and revision < self._compacted:
            raise Compacted(self._compacted)
        at = revision or self._revision
        keys = self._versions.irange(start, end, inclusive=(True, False))
        kvs = [kv for key in keys if (kv := self._at(key, at)) is not None]
        return ListResult(kvs[:limit] if limit else kvs, len(kvs), self._revision)

    async def put(
        self, key: bytes, value: bytes, *, expected_revision: int, lease: int = 0
    ) -> WriteResult:
        fault = self._fail_write()
        if lease and lease not in self._leases:
            raise StorageError(f"lease {lease} does not exist")
        current = self._latest(key)
        if (current.mod_revision if current else 0) != expected_revision:
            return WriteResult(False, self._revision, current)
        self._revision += 1
        created = current.create_revision if current else self._revision
        version = current.version + 1 if current else 1
        kv = KeyValue(key, value, created, self._revision, version, lease)
        self._record(kv, current, deleted=False)
        if fault is not None:
            raise fault
        return WriteResult(True, self._revision, None)

    async def delete(self, key: bytes, *, expected_revision: int) -> WriteResult:
        fault = self._fail_write()
        current = self._latest(key)
        if current is None or current.mod_revision != expected_revision:
            return WriteResult(False, self._revision, current)
        self._remove(current)
        if fault is not None:
            raise fault
        return WriteResult(True, self._revision, current)

    async def watch(self, start: bytes, end: bytes, *, after_revision: int) -> "MemoryWatch":
        self._fail_read()
        if after_revision < self._compacted:
            raise Compacted(self._compacted)
        watch = MemoryWatch(self, start, end, after_revision, self._backlog_max)
        for event in self._log:
            watch.offer(event)
        self._watches.add(watch)
        return watch

    async def grant_lease(self, ttl: int) -> int:
        self._fail_read()
        self._last_lease += 1
        lease = self._last_lease
        self._leases[lease] = set()
        asyncio.get_running_loop().call_later(ttl, self._expire, lease)
        return lease

    async def compact(self, revision: int) -> None:
        self._fail_read()
        if revision > self._revision:
            raise FutureRevision(f"revision {revision} has not happened, now is {self._revision}")
        if revision <= self._compacted:
            return
        self._compacted = revision
        self._log = [event for event in self._log if event.kv.mod_revision > revision]
        for key in list(self._versions):
            self._compact_key(key, revision)

    def drop_watches(self, error: StorageError) -> None:
        """End every watch with `error`, as a store does that goes away."""
        for watch in list(self._watches):
            watch.end(error)

    def discard(self, watch: "MemoryWatch") -> None:
        self._watches.discard(watch)

    @property
    def revision(self) -> int:
        return self._revision

    def _latest(self, key: bytes) -> KeyValue | None:
        return self._at(key, self._revision)

    def _at(self, key: bytes, revision: int) -> KeyValue | None:
        versions: list[KeyValue] = self._versions.get(key, [])
        index = bisect.bisect_right(versions, revision, key=_mod_revision)
        if not index or not versions[index - 1].version:
            return None
        return versions[index - 1]

    def _remove(self, current: KeyValue) -> None:
        self._revision += 1
        tombstone = KeyValue(current.key, b"", 0, self._revision, 0, 0)
        self._record(tombstone, current, deleted=True)

    def _record(self, kv: KeyValue, previous: KeyValue | None, *, deleted: bool) -> None:
        self._versions.setdefault(kv.key, []).append(kv)
        if previous is not None and previous.lease:
            self._leases[previous.lease].discard(kv.key)
        if kv.lease:
            self._leases[kv.lease].add(kv.key)
        event = Event(kv, previous, deleted)
        self._log.append(event)
        for watch in list(self._watches):
            watch.offer(event)

    def _expire(self, lease: int) -> None:
        for key in sorted(self._leases[lease]):
            current = self._latest(key)
            if current is not None:
                self._remove(current)
        del self._leases[lease]

    def _compact_key(self, key: bytes, revision: int) -> None:
        versions: list[KeyValue] = self._versions[key]
        index = bisect.bisect_right(versions, revision, key=_mod_revision)
        # The newest version at `revision` stays readable, unless it is a deletion.
        keep = index - 1 if index and versions[index - 1].version else index
        del versions[:keep]
        if not versions:
            del self._versions[key]

    def _fail_read(self) -> None:
        if self._faults:
            raise self._faults.popleft()[0]

    def _fail_write(self) -> StorageError | None:
        if not self._faults:
            return None
        error, applied = self._faults.popleft()
        if not applied:
            raise error
        return error


class MemoryWatch:
    """One watch of a `MemoryStorage`."""

    def __init__(
        self, storage: MemoryStorage, start: bytes, end: bytes, after: int, backlog_max: int
    ) -> None:
        self._storage = storage
        self._start = start
        self._end = end
        self._after = after
        self._backlog_max = backlog_max
        self._events: deque[Event] = deque()
        self._progress = False
        self._ended = False
        self._error: StorageError | None = None
        self._changed = asyncio.Event()

    def offer(self, event: Event) -> None:
        """Queue `event` if this watch asked for it."""
        kv = event.kv
        if kv.mod_revision <= self._after or not self._start <= kv.key < self._end:
            return
        if len(self._events) >= self._backlog_max:
            self.end(TooManyRequests(f"the watch fell {self._backlog_max} events behind"))
            return
        self._events.append(event)
        self._changed.set()

    def end(self, error: StorageError | None) -> None:
        if not self._ended:
            self._ended = True
            self._error = error
            self._storage.discard(self)
            self._changed.set()

    async def __aiter__(self) -> AsyncIterator[WatchBatch]:
        while True:
            while not (self._events or self._progress or self._ended):
                self._changed.clear()
                await self._changed.wait()
            if self._ended and self._error is None:
                return
            if self._events:
                yield self._batch()
            elif self._ended and self._error is not None:
                raise self._error
            else:
                self._progress = False
                yield WatchBatch((), self._storage.revision)

    def _batch(self) -> WatchBatch:
        events = tuple(self._events)
        self._events.clear()
        return WatchBatch(events, events[-1].kv.mod_revision)

    async def request_progress(self) -> None:
        self._progress = True
        self._changed.set()

    async def close(self) -> None:
        self.end(None)
