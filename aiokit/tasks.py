"""The one way to start a task: named, owned, its death noticed.

The event loop holds tasks weakly and nobody reads the exception of a forgotten one; both lose work
in silence. So every task belongs to a `TaskSet`, whose owner closes it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Told the name of the task that died, and of what.
OnDeath = Callable[[str, BaseException], None]


class TaskSet:
    """The tasks of one owner.

    A task that ends with an exception is logged with its name, and reported to `on_death` if given
    (a component passes what stops the process). To be cancelled is not a death; to end of a
    cancellation that nobody asked this task for is one: gRPC raises such where a call has ended.
    `close()` cancels what still runs and waits for it; used as an asynchronous context manager,
    leaving closes.
    """

    def __init__(self, owner: str, on_death: OnDeath | None = None) -> None:
        self._owner = owner
        self._on_death = on_death
        # In the order of their start, so that a simulation ends them the same way every time.
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start `work` as a task called `owner/name`."""
        task = asyncio.create_task(work, name=f"{self._owner}/{name}")
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancel every task and wait until all have ended."""
        while waiting := [task for task in self._tasks if task is not asyncio.current_task()]:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)
        error = _death(task)
        if error is None:
            return
        log.error("task %s died: %r", task.get_name(), error, exc_info=error)
        if self._on_death is not None:
            self._on_death(task.get_name(), error)


def _death(task: "asyncio.Task[Any]") -> BaseException | None:
    if not task.cancelled():
        return task.exception()
    return None if task.cancelling() else asyncio.CancelledError("nobody asked for it")
