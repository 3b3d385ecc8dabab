"""The multi-version map: every key at every revision that has not been compacted.

Revisions count transactions that changed something. All changes of one transaction share one
revision and one entry of the history:

    store = Mvcc()                     # revision 1
    store.put(b"a", b"1", 0)
    store.put(b"b", b"2", 0)
    store.commit()                     # revision 2, two events
    store.commit()                     # nothing changed: still revision 2

Between a change and its commit, reads without a revision already see the change, as ranges inside
an etcd transaction do.

Three structures hold the data. `_indexes` maps each key to all its records. `_live` and `_dead`
are the sorted keys that exist now, and those that do not but did at some revision that can still
be read; so a read of now never walks over deleted keys. `_history` maps each revision that can
still be watched to its events.

Compaction has two halves. `compact` takes effect at once: older revisions cannot be read any more.
The memory is given back by `sweep`, a slice at a time, which follows the history from where the
last sweep ended; so its cost is that of the changes forgotten, however many keys there are. While
a snapshot is drawn (`pin`), nothing is swept. A store that a later snapshot has replaced is freed a
slice at a time as well (`take_apart`): letting go of half a million keys at once takes 135 ms.
"""

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sortedcontainers import SortedList

from podling.controlplane.store import errors
from podling.controlplane.store.key_values import Event, KeyValue, tombstone
from podling.controlplane.store.machine.key_index import KeyIndex
from podling.controlplane.store.requests import NO_END

#: The revision of a store that nothing has been written to.
FIRST_REVISION = 1

#: What a record costs beside its key and value, in bytes; an estimate for the size reported.
RECORD_OVERHEAD = 200

#: The compact revision of a store that was never compacted: even revision 0 can be named.
NEVER_COMPACTED = -1


class Found(NamedTuple):
    """The outcome of a read."""

    kvs: Sequence[KeyValue]
    total: int
    """Keys in the range, whatever the limit."""
    revision: int
    """The store's revision when it was read, also where an older one was asked for."""


class Mvcc:
    """The records of one store. Not thread-safe; every method returns without waiting."""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        """Of the last committed transaction that changed anything."""
        self.compact_revision = NEVER_COMPACTED
        """The oldest revision that can be read, after the first compaction."""
        self.size = 0
        """Estimated bytes of all records."""
        self._indexes: dict[bytes, KeyIndex] = {}
        self._live = SortedList()
        self._dead = SortedList()
        self._history: dict[int, tuple[Event, ...]] = {}
        self._changes: list[Event] = []
        self._swept = 0
        """The sweep has dealt with all revisions below this one."""
        self._pins = 0

    def put(self, key: bytes, value: bytes, lease: int) -> KeyValue | None:
        """Set a key as part of the transaction under way; return what it was before."""
        at = self.revision + 1
        index = self._indexes.get(key)
        previous = None
        if index is None:
            kv = KeyValue(key, value, at, at, 1, lease)
            self._indexes[key] = KeyIndex(kv)
            self._live.add(key)
        elif index.newest.version:
            previous = index.newest
            kv = KeyValue(
                previous.key, value, previous.create_revision, at, previous.version + 1, lease
            )
            index.append(kv)
        else:
            kv = KeyValue(index.newest.key, value, at, at, 1, lease)
            index.append(kv)
            self._dead.remove(key)
            self._live.add(key)
        self.size += len(key) + len(value) + RECORD_OVERHEAD
        self._changes.append(Event(kv, previous, False))
        return previous

    def delete(self, key: bytes) -> KeyValue | None:
        """Delete a key as part of the transaction under way; return what it was, if it was."""
        index = self._indexes.get(key)
        if index is None or not index.newest.version:
            return None
        previous = index.newest
        kv = tombstone(previous.key, self.revision + 1)
        index.append(kv)
        self._live.remove(key)
        self._dead.add(previous.key)
        self.size += len(key) + RECORD_OVERHEAD
        self._changes.append(Event(kv, previous, True))
        return previous

    def delete_range(self, key: bytes, range_end: bytes = b"") -> list[KeyValue]:
        """Delete every key of the range; return what they were, in order."""
        deleted = (self.delete(each) for each in list(self._keys_in(self._live, key, range_end)))
        return [kv for kv in deleted if kv is not None]

    def commit(self) -> tuple[Event, ...]:
        """End the transaction under way; return its events, all of the new `revision`."""
        if not self._changes:
            return ()
        events = tuple(self._changes)
        self._changes.clear()
        self.revision += 1
        self._history[self.revision] = events
        return events

    @property
    def read_revision(self) -> int:
        """What a read without a revision reads; also the revision of writes under way."""
        return self.revision + 1 if self._changes else self.revision

    def get(self, key: bytes) -> KeyValue | None:
        """The key as it is now."""
        index = self._indexes.get(key)
        return index.newest if index is not None and index.newest.version else None

    def range(
        self, key: bytes, range_end: bytes = b"", *, limit: int = 0, revision: int = 0
    ) -> Found:
        """Read a range in order of keys, at most `limit` of them (0: all), as of `revision`
        (0: now).

        Raises Compacted and FutureRevision.
        """
        self.check_readable(revision)
        now = self.read_revision
        if not range_end:
            index = self._indexes.get(key)
            kv = index.at(revision if revision > 0 else now) if index is not None else None
            return Found([kv] if kv is not None else [], 1 if kv is not None else 0, now)
        if revision <= 0 or revision == now:
            return self._range_now(key, range_end, limit, now)
        kvs: list[KeyValue] = []
        for kv in self._records_at(key, range_end, revision):
            kvs.append(kv)
            if limit and len(kvs) == limit:
                return Found(kvs, self.count(key, range_end, revision), now)
        return Found(kvs, len(kvs), now)

    def count(self, key: bytes, range_end: bytes = b"", revision: int = 0) -> int:
        """How many keys the range has as of `revision` (0: now).

        Costs O(log n) for now. For an older revision it works back through the changes since, or
        walks the range if that is shorter. Raises Compacted and FutureRevision.
        """
        self.check_readable(revision)
        if not range_end:
            return self.range(key, revision=revision).total
        first, last = self._positions(key, range_end)
        count = max(last - first, 0)
        if revision <= 0 or revision >= self.read_revision:
            return count
        if self.revision - revision > count:
            return sum(1 for _ in self._records_at(key, range_end, revision))
        since = [event for at in self._revisions_after(revision) for event in at]
        for event in since:
            if in_range(event.kv.key, key, range_end):
                count += 1 if event.deleted else -1 if event.previous is None else 0
        return count

    def check_readable(self, revision: int) -> None:
        """Raise Compacted or FutureRevision unless `revision` can be read (0 and less: now)."""
        if revision <= 0:
            return
        if revision > self.read_revision:
            raise errors.FutureRevision
        if revision < self.compact_revision:
            raise errors.Compacted(self.compact_revision)

    def events(self, at: int) -> tuple[Event, ...]:
        """What happened at a revision from `compact_revision` on, in order of operations."""
        return self._history.get(at, ())

    def compact(self, revision: int) -> None:
        """Make older revisions unreadable; `sweep` gives back the memory.

        Raises Compacted if `revision` was compacted already, and FutureRevision.
        """
        if revision <= self.compact_revision:
            raise errors.Compacted(self.compact_revision)
        if revision > self.revision:
            raise errors.FutureRevision
        self.compact_revision = revision

    @property
    def unswept(self) -> int:
        """Revisions that are compacted and still in memory."""
        return max(self.compact_revision - self._swept, 0)

    def sweep(self, limit: int) -> int:
        """Free what compaction made unreadable: revisions until `limit` changes have been dealt
        with, at least one. Return how many revisions that were (0 also while pinned).
        """
        if self._pins:
            return 0
        first, changes = self._swept, 0
        while self._swept < self.compact_revision and changes < limit:
            events = self._history.pop(self._swept, ())
            for event in events:
                self._forget(event.kv.key)
            self._swept += 1
            changes += 1 + len(events)
        if first < self._swept == self.compact_revision:
            # The changes at the compact revision itself can still be watched; what they
            # replaced cannot be read.
            for event in self.events(self._swept):
                self._forget(event.kv.key)
        return self._swept - first

    def take_apart(self, limit: int) -> int:
        """Free up to `limit` keys and `limit` revisions of a store that another has replaced.

        Return how many those were (0 also while pinned). What is left cannot be read.
        """
        if self._pins:
            return 0
        before = self.left
        for records in (self._history, self._indexes):
            for _ in range(min(limit, len(records))):
                records.popitem()
        for keys in (self._live, self._dead):
            del keys[-limit:]
        return before - self.left

    @property
    def left(self) -> int:
        """Keys and revisions in memory."""
        return len(self._indexes) + len(self._history)

    def pin(self) -> None:
        """Keep everything in memory that is now, until `unpin`; pins nest."""
        self._pins += 1

    def unpin(self) -> None:
        self._pins -= 1

    def next_keys(self, after: bytes | None, limit: int) -> list[bytes]:
        """Up to `limit` keys that follow `after` (None: from the first), deleted ones included."""
        keys = heapq.merge(
            self._live.irange(after, None, (False, False)),
            self._dead.irange(after, None, (False, False)),
        )
        return list(itertools.islice(keys, limit))

    def record_at(self, key: bytes, revision: int) -> KeyValue | None:
        """The newest record of a key up to `revision`, which may be a tombstone."""
        index = self._indexes.get(key)
        return index.record_at(revision) if index is not None else None

    def live_records(self) -> Iterator[KeyValue]:
        """Every key as it is now, in no particular order."""
        return (index.newest for index in self._indexes.values() if index.newest.version)

    def readable_records(self, key: bytes, first: int, last: int) -> list[KeyValue]:
        """The records of a key that reads at the revisions from `first` to `last` can see."""
        index = self._indexes.get(key)
        if index is None:
            return []
        oldest = index.at(first)
        records = [kv for kv in index.records() if first < kv.mod_revision <= last]
        return records if oldest is None else [oldest, *records]

    def load_base(self, records: Iterable[KeyValue]) -> None:
        """Fill an empty store with records older than any history; keys must be distinct."""
        for kv in records:
            self._indexes[kv.key] = KeyIndex(kv)
            self.size += len(kv.key) + len(kv.value) + RECORD_OVERHEAD
        self._live.update(self._indexes)

    def load_revision(self, at: int, records: Iterable[KeyValue]) -> None:
        """Append the changes of one revision, which follows all that was loaded before."""
        events = []
        for kv in records:
            index = self._indexes.get(kv.key)
            previous = index.newest if index is not None and index.newest.version else None
            self._load_record(kv, index)
            events.append(Event(kv, previous, not kv.version))
        self._history[at] = tuple(events)
        self.revision = at

    def finish_load(self, revision: int, compact_revision: int) -> None:
        """Set the position of a store that was filled by `load_base` and `load_revision`."""
        self.revision = revision
        self.compact_revision = compact_revision
        self._swept = max(compact_revision, 0)
        for event in self.events(compact_revision):
            self._forget(event.kv.key)

    def _load_record(self, kv: KeyValue, index: KeyIndex | None) -> None:
        if index is None:
            self._indexes[kv.key] = KeyIndex(kv)
            (self._live if kv.version else self._dead).add(kv.key)
        else:
            if bool(index.newest.version) != bool(kv.version):
                (self._dead if kv.version else self._live).remove(kv.key)
                (self._live if kv.version else self._dead).add(kv.key)
            index.append(kv)
        self.size += len(kv.key) + len(kv.value) + RECORD_OVERHEAD

    def _forget(self, key: bytes) -> None:
        index = self._indexes.get(key)
        if index is None:
            return
        if index.is_dead_at(self.compact_revision):
            del self._indexes[key]
            self._dead.remove(key)
        for record in index.compact(self.compact_revision):
            self.size -= len(record.key) + len(record.value) + RECORD_OVERHEAD

    def _range_now(self, key: bytes, range_end: bytes, limit: int, now: int) -> Found:
        first, last = self._positions(key, range_end)
        count = max(last - first, 0)
        stop = min(last, first + limit) if limit else last
        indexes = self._indexes
        kvs = [indexes[each].newest for each in self._live.islice(first, stop)] if count else []
        return Found(kvs, count, now)

    def _records_at(self, key: bytes, range_end: bytes, revision: int) -> Iterator[KeyValue]:
        """The keys of the range as of an older revision, lazily and in order."""
        keys = self._keys_in(self._live, key, range_end)
        dead = self._keys_in(self._dead, key, range_end)
        first_dead = next(dead, None)
        if first_dead is not None:
            keys = heapq.merge(keys, [first_dead], dead)
        indexes = self._indexes
        for each in keys:
            kv = indexes[each].record_at(revision)
            if kv is not None and kv.version:
                yield kv

    def _positions(self, key: bytes, range_end: bytes) -> tuple[int, int]:
        """Where the range begins and ends among the live keys."""
        first = self._live.bisect_left(key)
        if range_end == NO_END:
            return first, len(self._live)
        return first, self._live.bisect_left(range_end)

    def _keys_in(self, keys: SortedList, key: bytes, range_end: bytes) -> Iterator[bytes]:
        if not range_end:
            return iter([key])
        if range_end == NO_END:
            return keys.irange(key, None)  # type: ignore[no-any-return]
        if range_end <= key:
            return iter(())
        return keys.irange(key, range_end, (True, False))  # type: ignore[no-any-return]

    def _revisions_after(self, revision: int) -> Iterator[Sequence[Event]]:
        for at in range(revision + 1, self.revision + 1):
            yield self._history.get(at, ())
        yield self._changes


def in_range(key: bytes, start: bytes, range_end: bytes) -> bool:
    """Whether `key` belongs to the range that `start` and `range_end` name in etcd's terms."""
    if not range_end:
        return key == start
    return start <= key and (range_end == NO_END or key < range_end)
