"""When to hand over the proposals that stand in line.

What a batch costs, in messages, writes to disk and turns of the loop, hardly depends on its size.
So while one is on its way the next gathers, as in group commit. And when one is done, those who
were answered are likely to ask again, one by one and within a moment: as many as there were are
waited for, for a fraction of what a commit takes.

    clients                     1 . . . 1 . . . 1         each asks again when it is answered
    handed over, one client     1       1       1         nothing to gather
    sixteen, at once            1 15 1 15 1 15            the first goes alone, the others behind it
    sixteen, gathered           1 15 16 16 16 16
"""

import asyncio
from collections.abc import Callable

LINGER = 0.005
"""Seconds for which proposals may be held at most: in case the way is long, or nobody comes."""
GATHER_EACH = 0.00025
"""Seconds for each proposal of the last batch, for which those that come after it are waited for;
about what it takes a client over gRPC to be answered and ask again."""


class Gathering:
    """Decides for one replica; `wake` is called when what is held may go."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._wake = wake
        self._last = 0
        """How many were handed over the last time."""
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0
        """When the timer fires."""
        self._behind_others = False
        """Whether the timer runs because others are on their way."""

    def hold(self, in_line: int, *, on_their_way: bool) -> bool:
        """Whether to hold the proposals in line, as many as there are, a moment longer."""
        if not on_their_way and in_line >= self._last:
            return False
        if self._timer is None or (self._behind_others and not on_their_way):
            self.stop()
            patience = LINGER if on_their_way else min(self._last * GATHER_EACH, LINGER)
            self._until = self._loop.time() + patience
            self._timer = self._loop.call_at(self._until, self._wake)
            self._behind_others = on_their_way
            return True
        return self._loop.time() < self._until

    def handed_over(self, count: int) -> None:
        """So many have gone."""
        self._last = count
        self.stop()

    def stop(self) -> None:
        """Hold nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
