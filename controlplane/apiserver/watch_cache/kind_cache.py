"""The objects of one kind as of one revision, and a window of what happened lately. Pure.

Worked example, `window_events_max=2`. The cache is loaded at revision 10, then events 11, 12 and 15
are applied. The window holds 12 and 15 and `forgotten` is 11: a watch may begin after revision 11
or later; one that wants to begin after 10 would miss event 11 and is told that it is too late.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sortedcontainers import SortedList

from podling.controlplane.apiserver.storage import encoded
from podling.controlplane.apiserver.storage.encoded import Encoded
from podling.controlplane.apiserver.storage.interface import Event, KeyValue
from podling.kube import watch_frames
from podling.kube.kinds import Kind


class FrameFormat(Protocol):
    """How a watch wants its events written."""

    @property
    def key(self) -> Hashable:
        """Formats with the same key write the same bytes."""

    def frame(self, change: str, value: bytes) -> bytes:
        """The bytes of one event about an object in JSON."""


@dataclass(frozen=True, slots=True)
class Change:
    """One event of one object. What watchers are sent is encoded once and kept with it."""

    revision: int
    before: Encoded | None
    after: Encoded | None
    _frames: dict[Hashable, bytes] = field(default_factory=dict, repr=False)

    def frame(self, change: str, form: FrameFormat) -> bytes:
        """The event as ADDED, MODIFIED or DELETED, in the form a watcher asked for."""
        key = (change, form.key)
        frame = self._frames.get(key)
        if frame is None:
            frame = form.frame(change, self._value(change))
            self._frames[key] = frame
        return frame

    def _value(self, change: str) -> bytes:
        if change != watch_frames.DELETED:
            assert self.after is not None
            return self.after.value
        # The last state that was seen, with the revision at which it went.
        assert self.before is not None
        return self.before.at(self.revision)

    @property
    def size(self) -> int:
        """Bytes that the window holds because of this change."""
        kept = self.after or self.before
        return len(kept.value) if kept else 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Some objects of a kind, in order of keys, that later events do not change."""

    keys: Sequence[bytes]
    _entries: Mapping[bytes, Encoded]

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Encoded]:
        return map(self._entries.__getitem__, self.keys)


class TooOld(Exception):
    """The window does not reach back to the revision asked for."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {revision} ({oldest})")


class KindCache:
    """One kind's objects and window."""

    def __init__(self, kind: Kind, window_events_max: int, window_bytes_max: int) -> None:
        self.kind = kind
        self.changed = 0
        """Revision of the newest event: from there on until the cache's revision, old and new
        states are the same."""
        self.forgotten = 0
        """The window holds every event after this revision."""
        self._entries: dict[bytes, Encoded] = {}
        self._keys: SortedList = SortedList()
        self._window: deque[Change] = deque()
        self._window_bytes = 0
        self._events_max = window_events_max
        self._bytes_max = window_bytes_max

    def __len__(self) -> int:
        return len(self._entries)

    def load(self, entries: Iterable[Encoded], revision: int) -> None:
        """Start anew from the state at `revision`."""
        self._entries = {entry.key: entry for entry in entries}
        self._keys = SortedList(self._entries)
        self._window.clear()
        self._window_bytes = 0
        self.changed = self.forgotten = revision

    def apply(self, event: Event) -> Change:
        """Take in one event of the store. Raises encoded.Undecodable and changes nothing."""
        key = event.kv.key
        before = self._entries.get(key)
        after = None if event.deleted else encoded.encode(self.kind, event.kv)
        if after is None:
            if before is not None:
                del self._entries[key]
                self._keys.remove(key)
        else:
            self._entries[key] = after
            if before is None:
                self._keys.add(key)
        change = Change(event.kv.mod_revision, before, after)
        self.changed = change.revision
        self._remember(change)
        return change

    def get(self, key: bytes) -> Encoded | None:
        return self._entries.get(key)

    def since(self, revision: int) -> list[Change]:
        """Everything after `revision`, oldest first. Raises TooOld."""
        if revision < self.forgotten:
            raise TooOld(revision, self.forgotten)
        found: list[Change] = []
        for change in reversed(self._window):
            if change.revision <= revision:
                break
            found.append(change)
        found.reverse()
        return found

    def snapshot(self, prefix: bytes, start: bytes = b"") -> Snapshot:
        """The objects whose keys begin with `prefix`, from key `start` on."""
        first, end = max(prefix, start), prefix_end(prefix)
        keys = list(self._keys.irange(first, end, inclusive=(True, False)))
        if len(keys) * 4 < len(self._entries):
            return Snapshot(keys, {key: self._entries[key] for key in keys})
        # A copy of the whole is quicker than many look-ups: 2 ms for 100,000.
        return Snapshot(keys, self._entries.copy())

    def _remember(self, change: Change) -> None:
        self._window.append(change)
        self._window_bytes += change.size
        while len(self._window) > self._events_max or self._window_bytes > self._bytes_max:
            oldest = self._window.popleft()
            self._window_bytes -= oldest.size
            self.forgotten = oldest.revision


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all that begin with `prefix`: etcd's range end."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))


def decode_all(kind: Kind, kvs: Iterable[KeyValue]) -> Iterator[Encoded | encoded.Undecodable]:
    """Each value encoded for the cache, or what is wrong with it."""
    for kv in kvs:
        try:
            yield encoded.encode(kind, kv)
        except encoded.Undecodable as error:
            yield error
