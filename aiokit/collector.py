"""The cyclic garbage collector of a process that must answer in time.

A full pass looks at every container object there is, and stops the process meanwhile. So what the
process has loaded when it begins to serve is frozen: no pass looks at it again. The young
generations are collected as ever. A full pass runs when enough has been allocated since the last
one and the process has little else to do, or at the latest after `patience`; never more than
`MAX_SHARE` of the time goes into them.

A process that holds millions of objects, such as a store of a million keys, could not afford a
full pass at all. What one would cost is reckoned from the passes before: those over generation 1
looked at everything that has come to generation 2 since. When that is more than `max_pause`, the
old objects are frozen too, which costs nothing. The price: a cycle among them that becomes garbage
later is never freed. Cycles are mostly made by failed calls and closed connections, which are
young.

The collector is the interpreter's, so there should be one of these in a process.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Histogram

from podling.aiokit.clock import Stopwatch, system_stopwatch

NEVER = 2**31 - 1
"""As a threshold: the interpreter does not begin such a pass by itself."""
MAX_SHARE = 0.005
"""Of the time, for full passes: after one of 50 ms, the next comes 10 s later at the earliest."""
IDLE_LOAD = 0.2
"""Share of a processor below which a process counts as idle."""
LOOK_AGAIN = 0.25
"""Seconds between two looks whether the process is idle, while a full pass is due."""

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_GENERATIONS = ("0", "1", "2")


@dataclass(frozen=True, slots=True)
class CollectorConfig:
    """When to collect. Times are in seconds."""

    young: int = 20_000
    """Containers allocated, and not freed, after which generation 0 is collected."""
    middle: int = 3
    """Passes over generation 0 after which generation 1 is collected."""
    max_pause: float = 0.015
    """The longest full pass; if it would be longer, what it would look at is frozen instead."""
    interval: float = 10.0
    """Between two looks whether a full pass is due; without new garbage none is."""
    patience: float = 10.0
    """How long a full pass that is due waits for an idle moment."""


class ScheduledCollector:
    """A component, to be started last: what is loaded by then is frozen.

    `podling_gc_pause_seconds` has the length of every pass, by generation.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        config: CollectorConfig | None = None,
        *,
        stopwatch: Stopwatch = system_stopwatch,
        processor_time: Callable[[], float] = time.process_time,
    ) -> None:
        """`processor_time` returns the seconds of processor time that the process has used."""
        self._config = config or CollectorConfig()
        self._stopwatch = stopwatch
        self._processor_time = processor_time
        pauses = Histogram(
            "podling_gc_pause_seconds",
            "How long the process stood still for a pass of the cyclic garbage collector.",
            ("generation",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._pauses = [pauses.labels(generation) for generation in _GENERATIONS]
        self._began = 0.0
        self._last_pause = 0.0
        self._full_pause = 0.0
        """What a full pass would take now, in seconds, at most."""
        self._due_since = 0.0
        self._used = 0.0
        self._thresholds = gc.get_threshold()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        return "collector"

    async def start(self) -> None:
        gc.freeze()
        self._thresholds = gc.get_threshold()
        gc.set_threshold(self._config.young, self._config.middle, NEVER)
        gc.callbacks.append(self._observe)
        self._rest()

    async def stop(self) -> None:
        """Leave the collector to the interpreter again; what is frozen stays so."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        gc.callbacks.remove(self._observe)
        gc.set_threshold(*self._thresholds)

    def _rest(self) -> None:
        seconds = max(self._config.interval, self._last_pause / MAX_SHARE)
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Is a full pass due? Not if no generation but the youngest has been added to."""
        if any(gc.get_count()[1:]):
            self._due_since = asyncio.get_running_loop().time()
            self._wait()
        else:
            self._rest()

    def _wait(self) -> None:
        self._used = self._processor_time()
        self._timer = asyncio.get_running_loop().call_later(LOOK_AGAIN, self._collect_if_idle)

    def _collect_if_idle(self) -> None:
        waited = asyncio.get_running_loop().time() - self._due_since
        busy = self._processor_time() - self._used > IDLE_LOAD * LOOK_AGAIN
        if busy and waited < self._config.patience:
            self._wait()
            return
        gc.collect()
        self._rest()

    def _observe(self, phase: str, info: dict[str, Any]) -> None:
        """The interpreter says that a pass begins or has ended."""
        if phase == "start":
            self._began = self._stopwatch()
            return
        pause = self._stopwatch() - self._began
        generation = info["generation"]
        self._pauses[generation].observe(pause)
        if generation == 1:
            self._full_pause += pause
            if self._full_pause > self._config.max_pause:
                gc.freeze()
                self._full_pause = 0.0
        elif generation == 2:
            self._last_pause = self._full_pause = pause
