"""Hands each change of a kind to every watch that can see it.

Nothing here waits: a change is written to a watcher's sink at once, as bytes that are made once for
all watchers of the same form. Watchers with the same selection share the work of judging it. A
watcher that does not take what it is sent is cut off by the bytes that wait for it.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Protocol

from podling.controlplane.apiserver.request.messages import Sink
from podling.controlplane.apiserver.watch_cache.kind_cache import Change, FrameFormat
from podling.controlplane.apiserver.watch_cache.selection import Selection
from podling.kube.errors import ApiError


class End(Enum):
    """Why a watch ends before its time."""

    EXPIRED = "the cache was loaded anew, events may have been missed"
    SLOW = "the client did not take what it was sent"
    STOPPING = "the server stops"


class WatchFormat(FrameFormat, Protocol):
    """How one watch writes its events; the first may differ from the rest (a table's columns)."""

    @property
    def later(self) -> "WatchFormat":
        """The form of all events after the first."""

    def bookmark(self, revision: int, *, end_of_state: bool) -> bytes:
        """The event that tells how far the watch has come."""

    def error(self, error: ApiError) -> bytes:
        """The event that tells why the watch ends."""


class Watcher:
    """One watch: first held back behind what it is still being told, then live."""

    def __init__(
        self,
        selection: Selection,
        form: WatchFormat,
        sink: Sink,
        *,
        after: int,
        buffer_bytes_max: int,
    ) -> None:
        self.selection = selection
        self.ended: End | None = None
        self._form = form
        self._sink = sink
        self._after = after
        self._buffer_bytes_max = buffer_bytes_max
        self._held: deque[tuple[Change, str]] | None = deque()
        """What happened while older things were being written; None once live."""
        self._held_bytes = 0
        self._over = asyncio.Event()

    def offer(self, change: Change, seen_as: str) -> None:
        """Tell it of a change that its selection can see, if it does not know it already."""
        if change.revision <= self._after or self.ended is not None:
            return
        if self._held is not None:
            self._held.append((change, seen_as))
            self._held_bytes += change.size
            waiting = self._held_bytes
        else:
            self.write(change, seen_as)
            waiting = self._sink.buffered
        if waiting > self._buffer_bytes_max:
            self.end(End.SLOW)

    def write(self, change: Change, seen_as: str) -> None:
        """Write a change, whatever is held back."""
        self._sink.write(change.frame(seen_as, self._form))
        self._form = self._form.later

    def write_object(self, seen_as: str, value: bytes) -> None:
        """Write an object, in JSON, that did not change: the state a watch begins with."""
        self._sink.write(self._form.frame(seen_as, value))
        self._form = self._form.later

    def write_bookmark(self, revision: int, *, end_of_state: bool = False) -> None:
        """Say that everything up to `revision` was told; `end_of_state`: the beginning is over."""
        self._sink.write(self._form.bookmark(revision, end_of_state=end_of_state))

    def write_error(self, error: ApiError) -> None:
        """Say why it ends."""
        self._sink.write(self._form.error(error))

    def release(self) -> bool:
        """Write what was held back; True if there was nothing, and it is live from now on."""
        held, self._held, self._held_bytes = self._held, None, 0
        if not held:
            return True
        for change, seen_as in held:
            self.write(change, seen_as)
        self._held = deque()
        return False

    def end(self, reason: End) -> None:
        if self.ended is None:
            self.ended = reason
            self._held = None
            self._over.set()

    async def over(self) -> None:
        """Wait until it ends before its time."""
        await self._over.wait()


class Watchers:
    """All watches of one kind."""

    def __init__(self) -> None:
        self._by_selection: dict[Selection, set[Watcher]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_selection.values()))

    def add(self, watcher: Watcher) -> None:
        self._by_selection.setdefault(watcher.selection, set()).add(watcher)

    def discard(self, watcher: Watcher) -> None:
        group = self._by_selection.get(watcher.selection)
        if group is not None:
            group.discard(watcher)
            if not group:
                del self._by_selection[watcher.selection]

    def dispatch(self, change: Change) -> None:
        """Hand a change to everyone who can see it."""
        for selection, group in self._by_selection.items():
            seen_as = selection.change(change.before, change.after)
            if seen_as is not None:
                for watcher in group:
                    watcher.offer(change, seen_as)

    def end(self, reason: End) -> None:
        for watcher in self._everyone():
            watcher.end(reason)

    def _everyone(self) -> Iterable[Watcher]:
        return [watcher for group in self._by_selection.values() for watcher in group]
