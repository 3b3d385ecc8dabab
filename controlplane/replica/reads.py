"""Reads that wait for an index at which they are linearizable.

At most one request is under way; all reads that come meanwhile share the next one. So a thousand
readers cost as much as one.
"""

import asyncio
import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from podling.controlplane.replica.errors import NoLeader, ReplicaError


@dataclass(slots=True, eq=False)
class Read:
    """One caller."""

    future: "asyncio.Future[int]"
    deadline: float
    """Event loop time."""


class Reads:
    """All reads of this replica, in one of three places: in line, asked, or confirmed."""

    def __init__(self, numbered_from: int = 0) -> None:
        """Requests have numbers above `numbered_from`."""
        self._line: list[Read] = []
        self._request = numbered_from
        """Number of the request under way, or of the last."""
        self._asked: list[Read] = []
        self._asked_at = 0.0
        self._confirmed: list[tuple[int, int, Read]] = []
        """Heap of (index, tie breaker, read): answered when the index is applied."""
        self._order = count()

    @property
    def waiting(self) -> bool:
        """Whether any stand in line."""
        return bool(self._line)

    def add(self, read: Read) -> None:
        self._line.append(read)

    def next_request(self, now: float) -> int:
        """The number of the request to make now; 0 if none is needed."""
        if self._asked or not self._line:
            return 0
        self._asked, self._line = self._line, []
        self._asked_at = now
        self._request += 1
        return self._request

    def answered(self, request: int, index: int, applied: int) -> None:
        """The leader has confirmed `request` at `index`."""
        if request != self._request:
            return
        for read in self._asked:
            heapq.heappush(self._confirmed, (index, next(self._order), read))
        self._asked = []
        self.applied(applied)

    def applied(self, index: int) -> None:
        """Everything up to `index` is applied."""
        while self._confirmed and self._confirmed[0][0] <= index:
            at, _, read = heapq.heappop(self._confirmed)
            if not read.future.done():
                read.future.set_result(at)

    def ask_again(self) -> None:
        """The request under way will not be answered."""
        self._line = self._asked + self._line
        self._asked = []

    def asked_before(self, time: float) -> bool:
        """Whether a request is under way since before `time`."""
        return bool(self._asked) and self._asked_at < time

    def expire(self, now: float) -> None:
        """Answer those whose time is up."""
        late = NoLeader("no leader confirmed itself in time")
        self._line = _without_expired(self._line, now, late)
        self._asked = _without_expired(self._asked, now, late)
        behind = NoLeader("this replica has not caught up in time")
        if any(read.deadline <= now for _, _, read in self._confirmed):
            _without_expired((read for _, _, read in self._confirmed), now, behind)
            self._confirmed = [each for each in self._confirmed if not each[2].future.done()]
            heapq.heapify(self._confirmed)

    def close(self, error: ReplicaError) -> None:
        reads = [*self._line, *self._asked, *(read for _, _, read in self._confirmed)]
        self._line, self._asked, self._confirmed = [], [], []
        _without_expired(reads, float("inf"), error)


def _without_expired(reads: Iterable[Read], now: float, error: ReplicaError) -> list[Read]:
    """Those that may wait on; the others get `error`."""
    kept: list[Read] = []
    for read in reads:
        if read.future.done():
            continue
        if read.deadline > now:
            kept.append(read)
        else:
            read.future.set_exception(error)
    return kept
