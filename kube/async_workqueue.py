"""The awaitable face of the work queue: it waits for keys and for delays on the event loop."""

import asyncio
from collections import deque

from podling.aiokit.backoff import Backoff
from podling.aiokit.earliest_timer import EarliestTimer
from podling.kube.workqueue import WorkQueue


class AsyncWorkQueue:
    """A `WorkQueue` on the running loop's clock, shared by any number of workers.

    Keys may be added before anybody waits, also outside a running loop; delays need one.
    """

    def __init__(self, backoff: Backoff) -> None:
        self._queue = WorkQueue(backoff)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer = EarliestTimer(self._ring)

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Nothing is ready, delayed or being worked on."""
        return self._queue.idle

    def add(self, key: str) -> None:
        self._queue.add(key)
        self._wake()

    def add_after(self, key: str, seconds: float) -> None:
        self._queue.add_after(key, seconds, asyncio.get_running_loop().time())
        self._set_timer()

    def retry(self, key: str) -> float:
        """See `WorkQueue.retry`."""
        seconds = self._queue.retry(key, asyncio.get_running_loop().time())
        self._set_timer()
        return seconds

    def forget(self, key: str) -> None:
        self._queue.forget(key)

    async def get(self) -> str:
        """Wait for the next key to work on; whoever takes it owes a `done`."""
        loop = asyncio.get_running_loop()
        while (key := self._queue.pop()) is None:
            waiter = loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                # Whoever is cancelled after being woken passes it on: the key is still there.
                self._wake()
                raise
        # One addition wakes one worker, but several keys may have become ready.
        self._wake()
        return key

    def done(self, key: str) -> None:
        self._queue.done(key)
        self._wake()

    def close(self) -> None:
        """Forget the timer; workers are cancelled by their owner."""
        self._timer.cancel()

    def _wake(self) -> None:
        while self._queue and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _set_timer(self) -> None:
        due = self._queue.next_due()
        if due is not None:
            self._timer.ask(due)

    def _ring(self, due: float) -> None:
        self._queue.advance(due)
        self._wake()
        self._set_timer()
