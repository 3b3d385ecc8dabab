"""One timer for many wishes, of which only the earliest counts."""

import asyncio
from collections.abc import Callable


class EarliestTimer:
    """Calls `ring(when)` once, at the earliest time that was asked for since it last rang.

    Times are those of the running loop's clock. The time is kept here, because a loop need not
    remember it: uvloop's handle for a time that has come already has no `when`.
    """

    def __init__(self, ring: Callable[[float], None]) -> None:
        self._ring = ring
        self._when = 0.0
        self._handle: asyncio.Handle | None = None

    def ask(self, when: float) -> None:
        """Ring at `when`, unless it rings earlier anyway. A time in the past means at once."""
        if self._handle is not None:
            if self._when <= when:
                return
            self._handle.cancel()
        self._when = when
        self._handle = asyncio.get_running_loop().call_at(when, self._call)

    def cancel(self) -> None:
        """Forget what was asked for."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _call(self) -> None:
        self._handle = None
        self._ring(self._when)
