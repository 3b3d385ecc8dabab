"""Where wall time comes from.

The event loop is the clock of asynchronous code (`loop.time()`, `asyncio.sleep`); pure code is
handed `now`. Wall time is only for what people and other machines read: timestamps in objects,
certificates and logs. Whoever prints one takes a `WallClock` in the constructor, so that a
simulation can hand in its own.
"""

import time
from collections.abc import Callable

#: Returns seconds since the Unix epoch.
WallClock = Callable[[], float]


def system_wall_clock() -> float:
    """The machine's own wall clock, in seconds since the Unix epoch."""
    return time.time()


#: Returns seconds from no particular moment on; only differences mean something.
Stopwatch = Callable[[], float]


def system_stopwatch() -> float:
    """For measuring how long a piece of code takes: uvloop's clock stands still meanwhile."""
    return time.perf_counter()
