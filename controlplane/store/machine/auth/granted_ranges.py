"""Sets of keys, as unions of ranges (etcd: server/auth/range_perm_cache.go).

Several permissions may together cover a range that none of them covers alone:

    granted  [a, c) [b, f) [k, no end)       kept  [a, f) [k, no end)
    covers [a, e)   yes                      covers [e, l)   no
"""

import bisect
from collections.abc import Iterable

from podling.controlplane.store.requests import NO_END


def is_valid_range(key: bytes, range_end: bytes) -> bool:
    """Whether the range names any key: it has a start, and an end behind it if it has one."""
    return bool(key) and (not range_end or range_end == NO_END or key < range_end)


class GrantedRanges:
    """The union of ranges, each (key, range_end) in etcd's terms. Never changes."""

    def __init__(self, granted: Iterable[tuple[bytes, bytes]]) -> None:
        self._starts: list[bytes] = []
        self._ends: list[bytes | None] = []
        """None: no upper bound. Sorted and apart, as are the starts."""
        for start, end in sorted((_bounds(*each) for each in granted), key=lambda each: each[0]):
            self._add(start, end)

    def covers(self, key: bytes, range_end: bytes = b"") -> bool:
        """Whether every key of the range is in the union."""
        start, end = _bounds(key, range_end)
        at = bisect.bisect_right(self._starts, start) - 1
        if at < 0:
            return False
        upto = self._ends[at]
        if upto is None:
            return True
        return start < upto and end is not None and end <= upto

    def _add(self, start: bytes, end: bytes | None) -> None:
        """The next in order of starts: joined with the last one if they touch."""
        if end is not None and end <= start:
            return
        last = self._ends[-1] if self._ends else b""
        if self._ends and (last is None or start <= last):
            if last is not None and (end is None or end > last):
                self._ends[-1] = end
            return
        self._starts.append(start)
        self._ends.append(end)


def _bounds(key: bytes, range_end: bytes) -> tuple[bytes, bytes | None]:
    """First key, and the first one behind; None if there is no end."""
    if not range_end:
        return key, key + b"\0"
    return key, None if range_end == NO_END else range_end
