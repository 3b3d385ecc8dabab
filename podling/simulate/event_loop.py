"""Event loops on virtual time: many processes in one, and an hour of them in seconds.

`VirtualTime` is the one true time. It hands out an event loop for each simulated process, and runs
what is due on any of them, one callback after another, always in the same order. When nothing is
left to be done now, time jumps to the next timer. There are no threads, sockets or signals here,
and nothing waits.

Each loop has a clock of its own, which may run fast or slow against true time and begins anywhere,
as the monotonic clocks of machines do. A loop that is paused does nothing until it is resumed, and
then everything that became due meanwhile, as a process that was stopped by SIGSTOP. A loop that is
killed never does anything again: its tasks stay where they are, no `finally` runs.
"""

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STALL = 200_000
"""Callbacks without any time passing after which a simulation is said to be stuck."""

#: Told of what was raised where nobody catches it: the process, and what happened.
OnError = Callable[[str, BaseException | None, str], None]


class Stuck(Exception):
    """The same instant never ends, or nothing is left that could happen."""


class VirtualTime:
    """True time, and the order of everything that happens."""

    def __init__(self, on_error: OnError) -> None:
        self.now = 0.0
        """Seconds since the beginning."""
        self._on_error = on_error
        self._ready: deque[tuple[VirtualLoop, asyncio.Handle]] = deque()
        self._timers: list[tuple[float, int, VirtualLoop, asyncio.TimerHandle]] = []
        self._sequence = 0
        self.callbacks = 0
        """That have run so far."""
        self._moved_at = 0
        """How many had run when time moved last."""
        self._loops: list[VirtualLoop] = []

    def new_loop(self, name: str, *, rate: float = 1.0, origin: float = 0.0) -> "VirtualLoop":
        """The event loop of a new process, whose clock shows `origin` now and runs `rate` times
        as fast as true time."""
        # What is missing of the interface would reach outside.
        loop = VirtualLoop(self, name, rate, origin)  # type: ignore[abstract]
        self._loops.append(loop)
        return loop

    def run_until(
        self, done: Callable[[], bool], after_each: "Callable[[VirtualLoop], None]"
    ) -> None:
        """Run until `done`, which is asked after each callback; `after_each` is told whose it was.

        Raises Stuck, and whatever the two raise.
        """
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("a simulation cannot run inside another event loop")
        try:
            while not done():
                if self._ready:
                    after_each(self._run_next())
                else:
                    self._advance()
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        """Let go of all that was under way, in silence."""
        self._ready.clear()
        self._timers.clear()
        for loop in self._loops:
            loop.discard()

    def ready(self, loop: "VirtualLoop", handle: asyncio.Handle) -> None:
        self._ready.append((loop, handle))

    def at(self, when: float, loop: "VirtualLoop", handle: asyncio.TimerHandle) -> None:
        self._sequence += 1
        heapq.heappush(self._timers, (when, self._sequence, loop, handle))

    def report(self, process: str, error: BaseException | None, text: str) -> None:
        self._on_error(process, error, text)

    def _run_next(self) -> "VirtualLoop":
        self.callbacks += 1
        if self.callbacks - self._moved_at > STALL:
            raise Stuck(f"time stands still at {self.now:.6f}: {self._ready[0][1]!r} goes on")
        loop, handle = self._ready.popleft()
        loop.run(handle)
        return loop

    def _advance(self) -> None:
        """To the next timer; all that are due then become ready in their order."""
        timers = self._timers
        if not timers:
            raise Stuck("nothing is left that could happen")
        self.now = max(self.now, timers[0][0])
        self._moved_at = self.callbacks
        while timers and timers[0][0] <= self.now:
            _, _, loop, handle = heapq.heappop(timers)
            if handle.cancelled():
                continue
            if loop.time() < handle.when():
                # The clock was slowed down since.
                self.at(loop.true_time(handle.when()), loop, handle)
            else:
                self._ready.append((loop, handle))


class VirtualLoop(asyncio.AbstractEventLoop):
    """The event loop of one simulated process. What would reach outside is not there."""

    def __init__(self, time: VirtualTime, name: str, rate: float, origin: float) -> None:
        self.name = name
        self._time = time
        self._rate = rate
        self._origin = origin
        self._since = time.now
        self._dead = False
        self._paused = False
        self._fuse: tuple[int, Callable[[], None]] | None = None
        self._parked: list[asyncio.Handle] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._prune_at = 64

    # The process.

    def set_rate(self, rate: float) -> None:
        """The clock runs `rate` times as fast as true time from now on."""
        self._origin, self._since, self._rate = self.time(), self._time.now, rate

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        for handle in self._parked:
            self._time.ready(self, handle)
        self._parked.clear()

    def after(self, callbacks: int, action: Callable[[], None] | None) -> None:
        """Call `action` when so many more callbacks have run here: in the middle of things. None:
        not after all."""
        self._fuse = None if action is None else (callbacks, action)

    def kill(self) -> None:
        """Nothing happens here any more."""
        self._dead = True
        self._parked.clear()

    @property
    def dead(self) -> bool:
        return self._dead

    def true_time(self, when: float) -> float:
        """When this loop's clock shows `when`, or just after."""
        true = self._since + (when - self._origin) / self._rate
        while self._shows(true) < when:
            true = math.nextafter(true, math.inf)
        return true

    def run(self, handle: asyncio.Handle) -> None:
        """Called by `VirtualTime` when it is the handle's turn."""
        if self._dead or handle.cancelled():
            return
        if self._paused:
            self._parked.append(handle)
            return
        if asyncio._get_running_loop() is not self:
            asyncio._set_running_loop(self)
        handle._run()
        if self._fuse is not None:
            self._burn(self._fuse)

    def discard(self) -> None:
        """Forget every task; whatever its coroutine does about that is of no interest."""
        self.kill()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            if task.done():
                continue
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            try:
                if coroutine is not None:
                    coroutine.close()
            except BaseException:  # noqa: BLE001, S110 - it was killed in the middle of something
                pass

    # asyncio.AbstractEventLoop, as far as code without I/O needs it.

    def time(self) -> float:
        return self._shows(self._time.now)

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self._dead:
            self._time.ready(self, handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self._dead:
            self._time.at(self.true_time(when), self, handle)
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> "asyncio.Task[T]":
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, name=name, context=context)
        # Held until it is done: what is collected in the middle would still do something.
        if len(self._tasks) >= self._prune_at:
            self._tasks = [each for each in self._tasks if not each.done()]
            self._prune_at = max(64, 2 * len(self._tasks))
        self._tasks.append(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._dead

    def is_closed(self) -> bool:
        return self._dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._dead:
            self._time.report(self.name, context.get("exception"), str(context.get("message")))

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Part of the interface; a cancelled timer is passed over when its time comes."""

    def _burn(self, fuse: tuple[int, Callable[[], None]]) -> None:
        left, action = fuse
        self._fuse = (left - 1, action) if left > 1 else None
        if self._fuse is None:
            action()

    def _shows(self, true: float) -> float:
        return self._origin + (true - self._since) * self._rate
