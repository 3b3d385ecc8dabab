"""Sets of keys, as unions of ranges (etcd: pkg/adt, IntervalTree).

Several ranges may together cover one that none of them covers alone:

    added   [a, c) [b, f) [k, no end)        kept  [a, f) [k, no end)
    covers  [a, e)   yes                     covers [e, l)   no
"""

from bisect import bisect_right
from collections.abc import Iterable

from podling.controlplane.store.requests import NO_END


def is_valid_range(key: bytes, range_end: bytes) -> bool:
    """Whether the range names any key: it has a start, and an end behind it if it has one."""
    return bool(key) and (not range_end or range_end == NO_END or key < range_end)


class KeyRanges:
    """The union of ranges, each (key, range_end) in etcd's terms."""

    def __init__(self, ranges: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._starts: list[bytes] = []
        self._ends: list[bytes | None] = []
        """None: no upper bound. Sorted and apart, as are the starts."""
        for each in ranges:
            self.add(*each)

    def add(self, key: bytes, range_end: bytes = b"") -> None:
        self._add(*_bounds(key, range_end))

    def update(self, other: "KeyRanges") -> None:
        """Add all that `other` has."""
        for each in zip(other._starts, other._ends, strict=True):
            self._add(*each)

    def covers(self, key: bytes, range_end: bytes = b"") -> bool:
        """Whether every key of the range is in the union."""
        start, end = _bounds(key, range_end)
        at = bisect_right(self._starts, start) - 1
        if at < 0:
            return False
        upto = self._ends[at]
        if upto is None:
            return True
        return start < upto and end is not None and end <= upto

    def _add(self, start: bytes, end: bytes | None) -> None:
        """Put one in the place of all that it touches."""
        if end is not None and end <= start:
            return
        starts, ends = self._starts, self._ends
        first = bisect_right(starts, start)
        if first:
            before = ends[first - 1]
            if before is None or start <= before:
                first -= 1
                start = starts[first]
        behind = len(starts) if end is None else bisect_right(starts, end)
        if first < behind and end is not None:
            last = ends[behind - 1]
            end = None if last is None else max(end, last)
        starts[first:behind] = [start]
        ends[first:behind] = [end]


def _bounds(key: bytes, range_end: bytes) -> tuple[bytes, bytes | None]:
    """First key, and the first one behind; None if there is no end."""
    if not range_end:
        return key, key + b"\0"
    return key, None if range_end == NO_END else range_end
