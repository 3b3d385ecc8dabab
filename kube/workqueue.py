"""The queue of keys that wait to be reconciled (client-go, util/workqueue), as a pure machine.

Its promises: a key is handed to one worker at a time; however often it is added while it waits, it
is handed out once; added while it is being worked on, it is handed out again afterwards. Time is
handed in, in seconds of any steady clock.

Worked example. `dirty` are the keys that need work, `processing` those being worked on, `ready` the
order of handing out:

    add a, add b, add a    ready [a b]  dirty {a b}  processing {}
    pop -> a               ready [b]    dirty {b}    processing {a}
    add a                  ready [b]    dirty {a b}  processing {a}   (a is not handed out twice)
    done a                 ready [b a]  dirty {a b}  processing {}
"""

import heapq
from collections import deque
from dataclasses import replace

from podling.aiokit.backoff import Backoff


class WorkQueue:
    """Keys in the order of their first addition, with delays and a back-off per key."""

    def __init__(self, backoff: Backoff) -> None:
        """`backoff` is the pattern from which every failing key gets a back-off of its own."""
        self._pattern = backoff
        self._ready: deque[str] = deque()
        self._dirty: set[str] = set()
        self._processing: set[str] = set()
        #: When a delayed key is due; the heap may hold outdated entries, this map never does.
        self._due: dict[str, float] = {}
        self._delayed: list[tuple[float, str]] = []
        self._backoffs: dict[str, Backoff] = {}

    def __len__(self) -> int:
        """Keys that are ready to be handed out."""
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Nothing is ready, delayed or being worked on."""
        return not (self._dirty or self._processing or self._due)

    def add(self, key: str) -> None:
        """`key` needs work now."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._ready.append(key)

    def add_after(self, key: str, seconds: float, now: float) -> None:
        """`key` needs work in `seconds`, or earlier if it was to be earlier already."""
        due = now + seconds
        if due >= self._due.get(key, float("inf")):
            return
        self._due[key] = due
        heapq.heappush(self._delayed, (due, key))

    def retry(self, key: str, now: float) -> float:
        """`key` failed: add it again after its next delay, which is returned, in seconds."""
        backoff = self._backoffs.setdefault(key, replace(self._pattern))
        seconds = backoff.next()
        self.add_after(key, seconds, now)
        return seconds

    def forget(self, key: str) -> None:
        """`key` succeeded: its next failure starts from the first delay."""
        self._backoffs.pop(key, None)

    def advance(self, now: float) -> None:
        """Make the delayed keys ready whose time has come."""
        while self._delayed and self._delayed[0][0] <= now:
            due, key = heapq.heappop(self._delayed)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)

    def pop(self) -> str | None:
        """The next key to work on, or None; whoever takes it owes a `done`."""
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: str) -> None:
        """Work on `key` has ended, well or badly."""
        self._processing.discard(key)
        if key in self._dirty:
            self._ready.append(key)

    def next_due(self) -> float | None:
        """When the first delayed key becomes ready, or None."""
        while self._delayed:
            due, key = self._delayed[0]
            if self._due.get(key) == due:
                return due
            heapq.heappop(self._delayed)
        return None
