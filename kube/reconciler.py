"""The worker loop that every controller shares: a key in, an outcome out.

Only keys travel. Whoever learns of a change enqueues the key; `reconcile` reads the newest state,
compares, acts, and is called again when that is due, never for one key twice at a time.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from podling.aiokit.backoff import Backoff
from podling.aiokit.tasks import TaskSet
from podling.kube.async_workqueue import AsyncWorkQueue
from podling.kube.errors import ApiError, Conflict
from podling.kube.transport import TransportError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """The world is as it should be, or a watched change will say when it is not."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """All is well so far; look again after `seconds`."""

    seconds: float


Result = Done | RequeueAfter

DONE: Final = Done()


class Reconciler:
    """Calls `reconcile(key)` for every key that was enqueued, with `workers` at a time.

    An exception is logged with the key and the key tried again after its own growing delay:
    `backoff` is the pattern of which every failing key gets a copy. Keys may be enqueued before
    `start`.
    """

    def __init__(
        self,
        name: str,
        reconcile: Callable[[str], Awaitable[Result]],
        backoff: Backoff,
        workers: int = 1,
    ) -> None:
        self._name = name
        self._reconcile = reconcile
        self._workers = workers
        self._queue = AsyncWorkQueue(backoff)
        self._tasks = TaskSet(name)

    @property
    def name(self) -> str:
        return self._name

    @property
    def idle(self) -> bool:
        """No key is waiting, delayed or being worked on."""
        return self._queue.idle

    def enqueue(self, key: str) -> None:
        """`key` may have changed."""
        self._queue.add(key)

    def enqueue_after(self, key: str, seconds: float) -> None:
        """Look at `key` in `seconds`, or earlier if that was agreed already."""
        self._queue.add_after(key, seconds)

    async def start(self) -> None:
        for number in range(self._workers):
            self._tasks.spawn(self._work(), name=f"worker-{number}")

    async def stop(self) -> None:
        await self._tasks.close()
        self._queue.close()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._work_on(key)
            finally:
                self._queue.done(key)

    async def _work_on(self, key: str) -> None:
        try:
            result = await self._reconcile(key)
        except Conflict as error:
            # Somebody wrote first: usual, and the newest state is on its way here.
            self._retry(key, logging.DEBUG, error)
        except (ApiError, TransportError) as error:
            self._retry(key, logging.WARNING, error)
        except Exception as error:
            log.exception("%s: %s: unexpected error", self._name, key)
            self._retry(key, logging.DEBUG, error)
        else:
            self._queue.forget(key)
            if isinstance(result, RequeueAfter):
                self._queue.add_after(key, result.seconds)

    def _retry(self, key: str, level: int, error: Exception) -> None:
        seconds = self._queue.retry(key)
        log.log(level, "%s: %s: %s; again in %.2f s", self._name, key, error, seconds)
