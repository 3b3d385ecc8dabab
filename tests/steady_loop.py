"""An event loop whose clock does not count the stalls of a busy machine.

Most tests have both ends of what they try in one process: a client with its deadlines, and the
server that is to answer. A machine that stops this process for two seconds, or gives it a tenth of
a core, hits both alike; but on the usual clock the deadlines pass meanwhile and nothing was
answered. Here time is what the loop spends waiting with nothing to do, and hardly more: a turn of
the loop counts for two milliseconds at most, however long it took.

Whether what ended a wait came late or was only seen late cannot be told, so a wait that something
ends counts no more than that either. Where other processes or threads speak up now and then,
deadlines come much later than they say, and pytest's own time-out, which is by the wall, is what
ends a test that hangs. So no upper bound of how long another process takes is tested on this loop.

A folder's tests run on it if its `conftest.py` imports `pytest_asyncio_loop_factories` from here.
What measures how late a loop is runs on the usual one.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Mapping

A_TURN = 0.001
"""Seconds that running what is ready counts for at most, and as many for noticing what comes."""


class _Idling(selectors.DefaultSelector):
    """Sums up the time that was spent waiting for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = self._left_off = time.perf_counter()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        began = time.perf_counter()
        self.clock += min(began - self._left_off, A_TURN)
        events = super().select(timeout)
        self._left_off = time.perf_counter()
        # What came may have been there before this process was allowed to look.
        most = A_TURN if events or timeout is None else timeout
        self.clock += min(self._left_off - began, most)
        return events


class SteadyLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, on the time it spends idle."""

    def __init__(self) -> None:
        self._idling = _Idling()
        super().__init__(self._idling)

    def time(self) -> float:
        return self._idling.clock


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"steady": SteadyLoop}
