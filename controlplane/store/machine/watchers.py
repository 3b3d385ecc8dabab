"""Who watches what, and what each has yet to be told (etcd: mvcc/watchable_store.go).

A watcher is synced when everything up to the store's revision has been handed to it or is pending;
each new transaction is then offered to it once, as it happens. Otherwise it is unsynced: it holds
only the revision from which on it has been told nothing, and reads the history from there when it
is asked for a batch. A new watcher with an old start revision begins unsynced. A synced one whose
reader is slow becomes unsynced when its pending events reach a bound, so that a slow reader costs a
number, not memory. If the history is compacted before it was read, the watch ends with Compacted.

The reader pulls: `on_ready` says that there is something, `take` hands out a batch. A batch never
holds a part of a revision.

    watcher = watchers.add(b"a", b"", start_revision=0, ...)   # synced
    store.put(b"a", b"1", 0); watchers.publish(store.commit())
    watchers.take(watcher)                                     # one event, revision 2
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, TypeVar

from podling.controlplane.store import errors
from podling.controlplane.store.key_values import Event
from podling.controlplane.store.machine.mvcc import Mvcc, in_range
from podling.controlplane.store.requests import NO_END, WatchFilter

K = TypeVar("K")

#: What an event costs beside its values while it is pending, in bytes; an estimate.
EVENT_OVERHEAD = 256

#: Revisions of history that one `take` walks at most, so that catching up does not stall others.
SLICE = 1000


class Batch(NamedTuple):
    """What a watcher is told at once."""

    events: Sequence[Event]
    revision: int
    """Everything of interest up to this revision has been handed out."""


@dataclass(slots=True, eq=False)
class Watcher:
    """One watch of one key or range. Its owner reads the public fields, and changes none."""

    key: bytes
    range_end: bytes
    filters: frozenset[WatchFilter]
    next_revision: int
    """Events of older revisions are of no interest, or have been handed out or are pending."""
    on_ready: Callable[[], None]
    """Called when `take` will hand out something that it would not have before."""
    prev_kv: bool = True
    """Events are handed out with what was there before."""
    synced: bool = False
    pending: list[Sequence[Event]] = field(default_factory=list)
    """One element for each transaction; shared with the other watchers of the same range."""
    pending_bytes: int = 0

    def wants(self, event: Event) -> bool:
        if event.kv.mod_revision < self.next_revision:
            return False
        unwanted = WatchFilter.NODELETE if event.deleted else WatchFilter.NOPUT
        return unwanted not in self.filters


class Watchers:
    """All watchers of one member's store."""

    def __init__(self, store: Callable[[], Mvcc], max_pending_bytes: int) -> None:
        self._store = store
        self._max_pending_bytes = max_pending_bytes
        # Groups are ordered, so that the same calls give the same order every time.
        self._by_key: dict[bytes, dict[Watcher, None]] = {}
        """Synced watchers of one key."""
        self._by_range: dict[tuple[bytes, bytes], dict[Watcher, None]] = {}
        """Synced watchers of a range."""
        self._all: dict[Watcher, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(
        self,
        key: bytes,
        range_end: bytes,
        *,
        start_revision: int,
        filters: frozenset[WatchFilter],
        on_ready: Callable[[], None],
        prev_kv: bool = True,
    ) -> Watcher:
        """Watch from `start_revision` on; 0 means from now, and a future one waits for it.

        Raises EmptyWatchRange. A compacted start revision shows in `take`.
        """
        if range_end and range_end != NO_END and key >= range_end:
            raise errors.EmptyWatchRange
        now = self._store().revision
        watcher = Watcher(key, range_end, filters, start_revision or now + 1, on_ready, prev_kv)
        self._all[watcher] = None
        if watcher.next_revision > now:
            self._sync(watcher)
        else:
            on_ready()
        return watcher

    def remove(self, watcher: Watcher) -> None:
        """End a watch; nothing is pending any more. Idempotent."""
        self._all.pop(watcher, None)
        self._unsync(watcher)
        watcher.pending.clear()
        watcher.pending_bytes = 0

    def publish(self, events: Sequence[Event]) -> None:
        """Offer the events of the transaction just committed to every synced watcher."""
        if not events:
            return
        if self._by_key:
            for key in dict.fromkeys(event.kv.key for event in events):
                if key in self._by_key:
                    self._offer([each for each in events if each.kv.key == key], self._by_key[key])
        # A copy: a watcher that falls behind leaves its group.
        for (start, end), watchers in tuple(self._by_range.items()):
            if inside := [each for each in events if in_range(each.kv.key, start, end)]:
                self._offer(inside, watchers)

    def take(self, watcher: Watcher) -> Batch | None:
        """The next batch, None if there is none now.

        While a watcher is unsynced a batch may be without events, which says how far it has come.
        Raises Compacted, after which the watcher must be removed.
        """
        if watcher.pending:
            events = _joined(watcher.pending)
            watcher.pending, watcher.pending_bytes = [], 0
            # An unsynced watcher's pending events end before the revision it goes on from.
            told = self._store().revision if watcher.synced else watcher.next_revision - 1
            return Batch(events, told)
        if watcher.synced:
            return None
        return self._catch_up(watcher)

    def has_more(self, watcher: Watcher) -> bool:
        """Whether `take` has something to say."""
        return bool(watcher.pending) or not watcher.synced

    def rewind(self, revision: int) -> None:
        """The store is about to be replaced by a later state of itself; it is at `revision` now.

        What happened in between was never published, so every watcher reads it from the history.
        """
        for watcher in self._all:
            if watcher.synced:
                self._unsync(watcher)
                watcher.next_revision = max(watcher.next_revision, revision + 1)
            watcher.on_ready()

    def _offer(self, events: Sequence[Event], watchers: Iterable[Watcher]) -> None:
        """Offer events of one transaction to all who watch their range.

        Almost all of them want the same, so what is handed out is made once for all.
        """
        revision, size = events[0].kv.mod_revision, _size(events)
        bare: Sequence[Event] = ()
        for watcher in tuple(watchers):
            if watcher.filters or watcher.next_revision > revision:
                wanted = [event for event in events if watcher.wants(event)]
                if wanted:
                    self._add_pending(watcher, _shown(watcher, wanted), _size(wanted))
            elif watcher.prev_kv:
                self._add_pending(watcher, events, size)
            else:
                bare = bare or _without_previous(events)
                self._add_pending(watcher, bare, size)

    def _add_pending(self, watcher: Watcher, events: Sequence[Event], size: int) -> None:
        if watcher.pending_bytes >= self._max_pending_bytes:
            self._unsync(watcher)
            watcher.next_revision = events[0].kv.mod_revision
            return
        first = not watcher.pending
        watcher.pending.append(events)
        watcher.pending_bytes += size
        if first:
            watcher.on_ready()

    def _catch_up(self, watcher: Watcher) -> Batch:
        store = self._store()
        first = watcher.next_revision
        if first < store.compact_revision:
            raise errors.Compacted(store.compact_revision)
        events: list[Event] = []
        last = store.revision
        size = 0
        for at in range(first, store.revision + 1):
            wanted = [each for each in store.events(at) if _matches(watcher, each)]
            events += wanted
            size += _size(wanted)
            if size >= self._max_pending_bytes or at - first == SLICE - 1:
                last = at
                break
        watcher.next_revision = max(watcher.next_revision, last + 1)
        if watcher.next_revision > store.revision:
            self._sync(watcher)
        return Batch(_shown(watcher, events), last)

    def _sync(self, watcher: Watcher) -> None:
        watcher.synced = True
        if watcher.range_end:
            self._by_range.setdefault((watcher.key, watcher.range_end), {})[watcher] = None
        else:
            self._by_key.setdefault(watcher.key, {})[watcher] = None

    def _unsync(self, watcher: Watcher) -> None:
        if not watcher.synced:
            return
        watcher.synced = False
        if watcher.range_end:
            _discard(self._by_range, (watcher.key, watcher.range_end), watcher)
        else:
            _discard(self._by_key, watcher.key, watcher)


def _matches(watcher: Watcher, event: Event) -> bool:
    return in_range(event.kv.key, watcher.key, watcher.range_end) and watcher.wants(event)


def _joined(pending: list[Sequence[Event]]) -> Sequence[Event]:
    return pending[0] if len(pending) == 1 else list(chain.from_iterable(pending))


def _shown(watcher: Watcher, events: Sequence[Event]) -> Sequence[Event]:
    return events if watcher.prev_kv else _without_previous(events)


def _without_previous(events: Sequence[Event]) -> Sequence[Event]:
    return [Event(event.kv, None, event.deleted) for event in events]


def _size(events: Sequence[Event]) -> int:
    return sum(len(each.kv.key) + len(each.kv.value) + EVENT_OVERHEAD for each in events)


def _discard(groups: dict[K, dict[Watcher, None]], key: K, watcher: Watcher) -> None:
    group = groups[key]
    group.pop(watcher, None)
    if not group:
        del groups[key]
