"""All objects of all kinds in memory, fed by one watch of the store, and the watches fed by them.

A list is answered from here without reading the store: the store tells its present revision, the
cache is waited for until it has come that far, and what it then holds is as new as the request
(kube-apiserver calls this consistent reads from cache). `revision` counts for all kinds at once,
because one watch feeds them all in order.

When the store goes away the cache keeps what it has and takes up its watch where it ended. Only if
the store has meanwhile forgotten that point is everything loaded anew; every watch is then ended,
so that its client lists again.
"""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from podling.aiokit.backoff import Backoff
from podling.aiokit.tasks import OnDeath, TaskSet
from podling.controlplane.apiserver.storage.encoded import Encoded, Undecodable
from podling.controlplane.apiserver.storage.interface import (
    Compacted,
    Event,
    Storage,
    StorageError,
    Unavailable,
    Watch,
    WatchBatch,
)
from podling.controlplane.apiserver.watch_cache.kind_cache import KindCache, decode_all
from podling.controlplane.apiserver.watch_cache.watchers import End, Watcher, Watchers
from podling.kube.kinds import Kind

log = logging.getLogger(__name__)

START, END = b"/registry/", b"/registry0"
PAGE = 500
"""Objects that are loaded in one go."""
SLICE = 0.005
"""Seconds of work after which others get their turn."""
PROGRESS_PERIOD = 0.1
"""Seconds between two questions for progress while somebody waits; kube-apiserver's figure."""


@dataclass(frozen=True, slots=True)
class WatchCacheConfig:
    """Bounds of the memory of what happened."""

    window_events_max: int = 10_000
    """Events that each kind's window holds at most."""
    window_bytes_max: int = 32 << 20
    """Bytes of objects that each kind's window holds at most."""


class NotLoaded(StorageError):
    """The cache has not been filled yet, because the store could not be read."""


class WatchCache:
    """Component: `start` returns at once, and the cache fills as soon as the store can be read."""

    name = "watch-cache"

    def __init__(
        self,
        storage: Storage,
        kinds: Iterable[Kind],
        config: WatchCacheConfig,
        backoff: Backoff,
        on_death: OnDeath,
    ) -> None:
        self.revision = 0
        """Everything up to here is in the cache and was handed to all watchers."""
        self.loaded = asyncio.Event()
        self._storage = storage
        self._caches = {
            kind.storage_prefix.encode(): KindCache(
                kind, config.window_events_max, config.window_bytes_max
            )
            for kind in kinds
        }
        self._watchers = {prefix: Watchers() for prefix in self._caches}
        self._backoff = backoff
        self._tasks = TaskSet(self.name, on_death)
        self._watch: Watch | None = None
        self._stopping = False
        self._complaint = ""
        """What was last said of the store, until it is followed again."""
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """Heap of (revision, number, who waits for it)."""
        self._numbers = itertools.count()
        self._somebody_waits = asyncio.Event()

    @property
    def lost(self) -> str:
        """Why the store cannot be followed at the moment; empty if it can."""
        return self._complaint if self._watch is None else ""

    async def start(self) -> None:
        self._tasks.spawn(self._feed(), name="feed")
        self._tasks.spawn(self._ask_for_progress(), name="progress")

    async def stop(self) -> None:
        self.stop_watches()
        await self._tasks.close()

    def of(self, kind: Kind) -> KindCache:
        """The cache of a kind. Raises NotLoaded."""
        if not self.loaded.is_set():
            raise NotLoaded("the store has not been read yet")
        return self._caches[kind.storage_prefix.encode()]

    def add_watcher(self, kind: Kind, watcher: Watcher) -> None:
        """From now on it is offered every change; if the server is stopping, it ends at once."""
        self._watchers[kind.storage_prefix.encode()].add(watcher)
        if self._stopping:
            watcher.end(End.STOPPING)

    def discard_watcher(self, kind: Kind, watcher: Watcher) -> None:
        self._watchers[kind.storage_prefix.encode()].discard(watcher)

    def watch_count(self) -> int:
        return sum(map(len, self._watchers.values()))

    def stop_watches(self) -> None:
        """End every watch in good order, also those that are about to begin."""
        self._stopping = True
        self._end_watches(End.STOPPING)

    def _end_watches(self, reason: End) -> None:
        for watchers in self._watchers.values():
            watchers.end(reason)

    async def refresh(self, timeout: float) -> int:
        """Wait until the cache is as new as the store is now, and return that revision.

        Raises StorageError, or TimeoutError after `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            revision = (await self._storage.get(b"/registry/health")).revision
            await self.reached(revision)
        return revision

    async def reached(self, revision: int) -> None:
        """Wait, for as long as it takes, until the cache holds everything up to `revision`."""
        if self.revision >= revision and self.loaded.is_set():
            return
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (revision, next(self._numbers), arrived))
        self._somebody_waits.set()
        await arrived

    async def _feed(self) -> None:
        while True:
            try:
                if not self.loaded.is_set():
                    await self._load()
                await self._follow()
            except Compacted:
                log.warning("the store forgot what follows revision %d: reading it all anew",
                            self.revision)  # fmt: skip
                self.loaded.clear()
                self._end_watches(End.EXPIRED)
            except StorageError as error:
                self._complain(str(error))
            await asyncio.sleep(self._backoff.next())

    def _complain(self, text: str) -> None:
        """Say the same once, however often it is tried."""
        level = logging.DEBUG if text == self._complaint else logging.WARNING
        self._complaint = text
        if self.revision:
            log.log(level, "the store was lost at revision %d: %s", self.revision, text)
        else:
            log.log(level, "the store cannot be read yet: %s", text)

    async def _load(self) -> None:
        found: dict[bytes, list[Encoded]] = {prefix: [] for prefix in self._caches}
        start, revision, more = START, 0, True
        while more:
            page = await self._storage.list(start, END, limit=PAGE, revision=revision)
            revision = revision or page.revision
            for prefix, cache in self._caches.items():
                mine = [kv for kv in page.kvs if kv.key.startswith(prefix)]
                for entry in decode_all(cache.kind, mine):
                    if isinstance(entry, Undecodable):
                        log.error("passing over an object that cannot be read: %s", entry)
                    else:
                        found[prefix].append(entry)
            more = page.total > len(page.kvs)
            if page.kvs:
                start = page.kvs[-1].key + b"\0"
        for prefix, entries in found.items():
            self._caches[prefix].load(entries, revision)
        self.loaded.set()
        self._advance(revision)

    async def _follow(self) -> None:
        self._watch = await self._storage.watch(START, END, after_revision=self.revision)
        try:
            async for batch in self._watch:
                await self._take(batch)
                self._backoff.reset()
                self._complaint = ""
        finally:
            watch, self._watch = self._watch, None
            await watch.close()
        raise Unavailable("the store closed it")

    async def _take(self, batch: WatchBatch) -> None:
        loop = asyncio.get_running_loop()
        turn_ends = loop.time() + SLICE
        taken = self.revision
        for event in batch.events:
            # A revision is taken in whole before anybody else may look.
            if event.kv.mod_revision > taken:
                self._advance(taken)
                if loop.time() > turn_ends:
                    await asyncio.sleep(0)
                    turn_ends = loop.time() + SLICE
            taken = event.kv.mod_revision
            self._apply(event)
        self._advance(batch.revision)

    def _apply(self, event: Event) -> None:
        prefix = self._prefix(event.kv.key)
        if prefix is None:
            return
        try:
            change = self._caches[prefix].apply(event)
        except Undecodable as error:
            log.error("an object became unreadable and is treated as deleted: %s", error)
            change = self._caches[prefix].apply(event._replace(deleted=True))
        self._watchers[prefix].dispatch(change)

    def _prefix(self, key: bytes) -> bytes | None:
        """The kind that a key belongs to: its prefix is one or two path segments."""
        first = key.find(b"/", len(START)) + 1
        if key[:first] in self._caches:
            return key[:first]
        second = key.find(b"/", first) + 1
        return key[:second] if key[:second] in self._caches else None

    def _advance(self, revision: int) -> None:
        self.revision = max(self.revision, revision)
        while self._waiting and self._waiting[0][0] <= self.revision:
            arrived = heapq.heappop(self._waiting)[2]
            if not arrived.done():
                arrived.set_result(None)

    async def _ask_for_progress(self) -> None:
        while True:
            await self._somebody_waits.wait()
            while any(not arrived.done() for _, _, arrived in self._waiting):
                if self._watch is not None:
                    await self._request_progress(self._watch)
                await asyncio.sleep(PROGRESS_PERIOD)
            self._waiting.clear()
            self._somebody_waits.clear()

    async def _request_progress(self, watch: Watch) -> None:
        try:
            await watch.request_progress()
        except StorageError as error:
            log.debug("no progress report: %s", error)
