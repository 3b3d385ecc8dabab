"""How late the event loop comes to what is due: the first sign that something blocks it.

    due at 10.000 s     called at 10.000 s      lag 0
    due at 10.250 s     called at 10.310 s      lag 0.06: something ran for 60 ms or longer

A stall as long as the interval is always seen, a shorter one by chance.
"""

import asyncio

from prometheus_client import CollectorRegistry, Histogram

INTERVAL = 0.5
"""Seconds between two samples: each wakes a process that may have nothing else to do."""

_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class LoopLag:
    """A component: samples the running loop's lag into `podling_event_loop_lag_seconds`."""

    def __init__(self, registry: CollectorRegistry, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._lag = Histogram(
            "podling_event_loop_lag_seconds",
            "How late the event loop called what was due.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        return "loop-lag"

    async def start(self) -> None:
        self._wait()

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + self._interval
        self._timer = loop.call_at(self._due, self._sample)

    def _sample(self) -> None:
        # A timer may ring a little early, by the resolution of the loop's clock.
        self._lag.observe(max(asyncio.get_running_loop().time() - self._due, 0.0))
        self._wait()
