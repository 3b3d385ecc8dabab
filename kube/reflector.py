"""Keeps a sink equal to what an API server has: list once, then watch, for as long as it runs.

    list at revision R -> watch after R -> connection breaks -> watch after the last event seen
                              ^                                            |
                              +--- list again: history is gone (410) <-----+

A watch is resumed from the last event or bookmark, so nothing is missed and nothing repeated,
whichever server answers next. Only if the server no longer has that history (Expired), or does not
know that revision at all, everything is read anew, and the sink works out what changed. A watch
that ends in good order is resumed at once; anything else waits for a growing, jittered delay.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from random import Random
from typing import Final, NoReturn, Protocol

from podling.aiokit.backoff import Backoff
from podling.kube import meta, watch_frames
from podling.kube.client import Client, ObjectList
from podling.kube.errors import ApiError
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from podling.kube.transport import TransportError
from podling.kube.watch_frames import WatchEvent

log = logging.getLogger(__name__)

FIRST_DELAY: Final = 0.05
DELAY_CAP: Final = 2.0
WORRYING_FAILURES: Final = 3
"""In a row, after which it is said, once."""
WATCH_SECONDS: Final = (300, 600)
"""A watch asks to be ended after a time drawn from here, so that watches spread over servers."""
SHORT_WATCH: Final = 1.0
"""Seconds: a watch that ends sooner and without an event did not work."""
YIELD_EVERY: Final = 256
"""Events after which others on the loop have their turn, however many are waiting."""


@dataclass(frozen=True, slots=True)
class Source:
    """Which objects to follow."""

    kind: Kind
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""

    def __str__(self) -> str:
        parts = (self.namespace, self.label_selector, self.field_selector)
        narrowed = " ".join(part for part in parts if part)
        return f"{self.kind.plural} ({narrowed})" if narrowed else self.kind.plural


class Sink(Protocol):
    """Whoever keeps the objects."""

    async def replace(self, pages: AsyncGenerator[ObjectList, None]) -> str:
        """Become exactly what `pages` have, once all have come; returns their revision.

        Whatever `pages` raises is passed on, with nothing changed.
        """

    def put(self, obj: Object, encoded: bytes) -> None:
        """The object is new, or has changed."""

    def remove(self, obj: Object) -> None:
        """The object is gone."""


class Reflector:
    """`run()` it as a task; it ends only by cancellation."""

    def __init__(self, client: Client, source: Source, sink: Sink, dice: Random) -> None:
        self._client = client
        self._source = source
        self._sink = sink
        self._dice = dice
        self._backoff = Backoff(FIRST_DELAY, DELAY_CAP, dice)
        self._failures = 0
        """In a row."""
        self.resource_version = ""
        """Everything up to here has been given to the sink."""

    async def run(self) -> NoReturn:
        while True:
            try:
                await self._list()
            except (ApiError, TransportError) as error:
                await self._pause("list", error)
            else:
                await self._follow()

    async def _list(self) -> None:
        source = self._source
        pages = self._client.pages(
            source.kind,
            source.namespace,
            label_selector=source.label_selector,
            field_selector=source.field_selector,
        )
        async with aclosing(pages):
            self.resource_version = await self._sink.replace(pages)

    async def _follow(self) -> None:
        """Watch and resume, until history has to be read anew."""
        while True:
            try:
                await self._watch()
            except ApiError as error:
                await self._pause("watch", error)
                if _history_is_gone(error):
                    return
            except TransportError as error:
                await self._pause("watch", error)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen = 0
        try:
            async with self._open() as events:
                # It works also if there is nothing to tell.
                settled = loop.call_later(SHORT_WATCH, self._recovered)
                try:
                    async for event in events:
                        self._take(event)
                        seen += 1
                        if seen % YIELD_EVERY == 0:
                            await asyncio.sleep(0)
                finally:
                    settled.cancel()
        finally:
            worked = seen > 0 or loop.time() - began >= SHORT_WATCH
            if worked:
                self._recovered()
        if not worked:
            raise TransportError("the server ended the watch at once")

    def _open(self) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent]]:
        source = self._source
        return self._client.watch(
            source.kind,
            source.namespace,
            resource_version=self.resource_version,
            label_selector=source.label_selector,
            field_selector=source.field_selector,
            timeout_seconds=self._dice.randint(*WATCH_SECONDS),
        )

    def _take(self, event: WatchEvent) -> None:
        if event.type == watch_frames.DELETED:
            self._sink.remove(event.object)
        elif event.type != watch_frames.BOOKMARK:
            self._sink.put(event.object, event.encoded)
        self.resource_version = meta.resource_version(event.object)
        if self._failures:
            self._recovered()

    def _recovered(self) -> None:
        self._backoff.reset()
        if self._failures >= WORRYING_FAILURES:
            log.info("following %s again", self._source)
        self._failures = 0

    async def _pause(self, verb: str, error: Exception) -> None:
        seconds = self._backoff.next()
        self._failures += 1
        # Once is what happens whenever a server goes: the next one is asked at once.
        level = logging.WARNING if self._failures == WORRYING_FAILURES else logging.DEBUG
        log.log(level, "cannot %s %s: %s; again in %.2f s", verb, self._source, error, seconds)
        await asyncio.sleep(seconds)


def _history_is_gone(error: ApiError) -> bool:
    """Too old for the server, or newer than it ever was (it was restored, say)."""
    return error.code == 410 or any(
        cause.get("reason") == "ResourceVersionTooLarge" for cause in error.causes
    )
