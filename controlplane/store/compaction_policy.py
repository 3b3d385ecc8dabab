"""When the store forgets history by itself, and how much of it: etcd's two modes. Pure.

`Periodic` keeps what happened within a time: it notes the revision ten times an hour (or a period,
if that is shorter) and forgets what is older than the period. `ByRevision` keeps a number of
revisions, and looks every five minutes. Source: etcd, server/etcdserver/api/v3compactor.
"""

from collections import deque
from typing import Protocol

from podling.aiokit import durations

HOUR = 3600.0
SAMPLES = 10
"""Of the revision, in each interval between two compactions."""
REVISION_INTERVAL = 300.0

PERIODIC = "periodic"
REVISION = "revision"


class Policy(Protocol):
    """Decides what to forget. Times are in seconds of one clock."""

    interval: float
    """How often to `look`, beginning at once."""

    def look(self, now: float, revision: int, *, leading: bool) -> int:
        """The revision up to which to forget now, when the store is at `revision`; 0: none.

        Whoever does not lead forgets nothing, but is prepared to go on as the next leader.
        """

    def compacted(self, now: float, revision: int) -> None:
        """History up to `revision` is forgotten, here or by somebody else before."""


class Periodic:
    """Keeps the history of the last `period` seconds."""

    def __init__(self, period: float, started: float) -> None:
        self.interval = min(period, HOUR) / SAMPLES
        self._compact_interval = min(period, HOUR)
        self._seen: deque[int] = deque(maxlen=round(period / self.interval) + 1)
        self._next = started + period
        self._compacted = 0

    def look(self, now: float, revision: int, *, leading: bool) -> int:
        oldest = self._seen[0] if self._seen else 0
        self._seen.append(revision)
        due = leading and now >= self._next and oldest != self._compacted
        return oldest if due else 0

    def compacted(self, now: float, revision: int) -> None:
        self._compacted = revision
        self._next = now + self._compact_interval


class ByRevision:
    """Keeps the last `retention` revisions."""

    interval = REVISION_INTERVAL

    def __init__(self, retention: int) -> None:
        self._retention = retention
        self._compacted = 0

    def look(self, now: float, revision: int, *, leading: bool) -> int:
        target = revision - self._retention
        return target if leading and target > 0 and target != self._compacted else 0

    def compacted(self, now: float, revision: int) -> None:
        self._compacted = revision


def parse_retention(mode: str, text: str) -> float:
    """Seconds of history to keep, or revisions, by `mode`; 0: all of it. Raises ValueError.

    A bare number is of hours, or of revisions.
    """
    if mode not in (PERIODIC, REVISION):
        raise ValueError(f"the mode must be {PERIODIC} or {REVISION}, not {mode!r}")
    if text.isdecimal():
        return float(text) * (HOUR if mode == PERIODIC else 1)
    if mode == REVISION:
        raise ValueError(f"{text!r} is not a number of revisions")
    return durations.parse(text)


def policy(mode: str, retention: float, now: float) -> Policy | None:
    """The policy of a parsed retention; None if all history is kept."""
    if not retention:
        return None
    return Periodic(retention, now) if mode == PERIODIC else ByRevision(int(retention))
