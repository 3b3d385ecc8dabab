"""Raft's ticks from the event loop's clock.

However late a tick comes, it counts once. After a stall of the loop the messages that came
meanwhile are handled first: the tick is put off by one interval, once, so that a busy member does
not take its own silence for that of the leader.
"""

import asyncio
from collections.abc import Callable


class Ticker:
    """Calls back at a steady pace."""

    def __init__(self, interval: float, on_tick: Callable[[], None]) -> None:
        self._interval = interval
        self._on_tick = on_tick
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + interval
        self._put_off = False
        self._timer = self._loop.call_at(self._due, self._fire)

    def stop(self) -> None:
        self._timer.cancel()

    def _fire(self) -> None:
        now = self._loop.time()
        late = now - self._due > self._interval
        if late and not self._put_off:
            self._put_off = True
            self._due = now + self._interval
        else:
            self._put_off = False
            self._due = max(self._due, now - self._interval) + self._interval
            self._on_tick()
        self._timer = self._loop.call_at(self._due, self._fire)
