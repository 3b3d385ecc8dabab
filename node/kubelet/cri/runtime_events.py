"""Keeps the cache of runtime states current: events as they come, and lists as the safety net.

A list is taken after every (re)connection of the event stream, which closes the gap that it may
have had, and once in a long while in case an event was lost. Nothing else asks the runtime
unprompted. (Kubernetes calls this the evented PLEG, KEP-3386.)
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from podling.aiokit.backoff import Backoff
from podling.aiokit.clock import WallClock
from podling.aiokit.tasks import TaskSet
from podling.node.kubelet.cri.runtime_cache import RuntimeCache
from podling.node.kubelet.cri.runtime_client import RuntimeCallError, RuntimeClient

log = logging.getLogger(__name__)


class RuntimeEvents:
    """Follows the runtime; tells `changed` the uid of every pod about which there is news."""

    def __init__(
        self,
        client: RuntimeClient,
        cache: RuntimeCache,
        clock: WallClock,
        backoff: Backoff,
        changed: Callable[[str], None],
        *,
        relist_interval: float,
    ) -> None:
        self._client = client
        self._cache = cache
        self._clock = clock
        self._backoff = backoff
        self._changed = changed
        self._interval = relist_interval
        self._relist_now = asyncio.Event()
        self._listed = asyncio.Event()
        self._tasks = TaskSet("runtime-events")

    async def start(self) -> None:
        """Follow; returns when the cache is complete for the first time."""
        self._tasks.spawn(self._follow(), name="follow")
        self._tasks.spawn(self._relist_forever(), name="relist")
        await self._listed.wait()

    async def stop(self) -> None:
        await self._tasks.close()

    async def refresh(self, sandbox_id: str) -> None:
        """Look at one sandbox now, after a call that changed it."""
        snapshot = await self._client.snapshot(sandbox_id)
        if snapshot is None:
            uid = self._cache.remove(sandbox_id)
            if uid is not None:
                self._changed(uid)
        elif self._cache.apply(snapshot):
            self._changed(snapshot.uid)

    async def _follow(self) -> None:
        while True:
            # Again when the stream is there, for runtimes that say so: nothing falls between.
            self._relist_now.set()
            try:
                async with aclosing(self._client.events(self._relist_now.set)) as events:
                    async for event in events:
                        self._backoff.reset()
                        if event.sandbox_removed:
                            self._cache.remove(event.snapshot.sandbox.id)
                            self._changed(event.snapshot.uid)
                        elif self._cache.apply(event.snapshot):
                            self._changed(event.snapshot.uid)
            except RuntimeCallError as error:
                log.warning("the runtime's events ended: %s", error)
            await asyncio.sleep(self._backoff.next())

    async def _relist_forever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._interval):
                    await self._relist_now.wait()
            except TimeoutError:
                pass
            self._relist_now.clear()
            try:
                await self._relist()
                self._listed.set()
            except RuntimeCallError as error:
                log.warning("cannot list the runtime's sandboxes: %s", error)
                await asyncio.sleep(self._backoff.next())
                self._relist_now.set()

    async def _relist(self) -> None:
        began = int(self._clock() * 1e9)
        ids = await self._client.list_sandboxes()
        snapshots = [await self._client.snapshot(sandbox_id) for sandbox_id in ids]
        found = [snapshot for snapshot in snapshots if snapshot is not None]
        for uid in self._cache.replace(found, began):
            self._changed(uid)
