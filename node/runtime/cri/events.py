"""Telling readers what changes, as it changes, without ever waiting for a slow one."""

import asyncio
from collections import deque
from collections.abc import Callable

from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri.cri_errors import CriError

UNREAD_LIMIT = 4096
"""Events that a reader may be behind before its stream ends."""


class EventStream:
    """Hands every event to every subscription."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def publish(self, event: cri.ContainerEventResponse) -> None:
        for subscription in self._subscriptions:
            subscription.put(event)

    def subscribe(self) -> "Subscription":
        """All events from now on. The caller closes it."""
        subscription = Subscription(self._subscriptions.discard)
        self._subscriptions.add(subscription)
        if self._closed:
            subscription.end()
        return subscription

    def close(self) -> None:
        """End every subscription in good order."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.end()


class Subscription:
    """The events that one reader has not read yet."""

    def __init__(self, drop: Callable[["Subscription"], None]) -> None:
        self._drop = drop
        self._unread: deque[cri.ContainerEventResponse] = deque()
        self._wake = asyncio.Event()
        self._overrun = False
        self._ended = False

    async def next(self) -> cri.ContainerEventResponse | None:
        """None when the stream ended. Raises CriError `resource_exhausted` when the reader was too
        slow: it subscribes again and lists everything."""
        while not self._unread:
            if self._overrun:
                raise CriError("resource_exhausted", "too slow: events were lost, list again")
            if self._ended:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._unread.popleft()

    def put(self, event: cri.ContainerEventResponse) -> None:
        if len(self._unread) >= UNREAD_LIMIT:
            self._overrun = True
            self._unread.clear()
        if not self._overrun:
            self._unread.append(event)
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    def close(self) -> None:
        self._drop(self)
