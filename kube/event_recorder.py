"""Tells people what a component did, and why, as Events beside the object concerned.

Recording never waits and never fails: a background task writes, what is the same is counted, and
when the API server is slow or away, what does not fit any more is dropped and said in the log.
"""

import asyncio
import logging
from collections import OrderedDict
from typing import Final

from podling.aiokit.clock import WallClock
from podling.aiokit.tasks import TaskSet
from podling.kube import event_series, kinds, meta
from podling.kube.client import Client
from podling.kube.errors import ApiError, NotFound
from podling.kube.event_series import Series, SeriesMemory
from podling.kube.meta import Object
from podling.kube.transport import TransportError

log = logging.getLogger(__name__)

NORMAL: Final = "Normal"
WARNING: Final = "Warning"

MAX_WAITING: Final = 1000
"""Series that wait to be written; further ones are dropped."""
MAX_SERIES: Final = 4096
"""Series remembered, in which the same thing is counted."""
TRIES: Final = 5
"""Attempts to write one Event to a server that cannot be reached, a growing time apart."""
FIRST_PAUSE: Final = 0.2
FLUSH_DEADLINE: Final = 2.0
"""Seconds that `stop` spends on what is still waiting."""


class EventRecorder:
    """A component; Events may be recorded before it is started."""

    def __init__(self, client: Client, component: str, clock: WallClock, *, host: str = "") -> None:
        """`component` is the source people see (`kubelet`), `host` the node it speaks from."""
        self._client = client
        self._component = component
        self._clock = clock
        self._host = host
        self._memory = SeriesMemory(MAX_SERIES)
        #: By name of the Event; a series that happens again while it waits is written once.
        self._waiting: OrderedDict[tuple[str, str], Series] = OrderedDict()
        self._news = asyncio.Event()
        self._dropped = 0
        self._tasks = TaskSet(self.name)

    @property
    def name(self) -> str:
        return f"events/{self._component}"

    def event(
        self, obj: Object, type_: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        """Something happened to `obj`.

        `type_` is NORMAL or WARNING, `reason` a CamelCase word for programs and `message` a
        sentence for people; `field_path` names a part of it, such as `spec.containers{web}`.
        """
        try:
            what = event_series.happening(obj, type_, reason, message, field_path)
            series = self._memory.count(what, self._clock())
        except Exception:
            log.exception("%s: cannot record %s on %s", self.name, reason, meta.key(obj))
            return
        key = (series.namespace, series.name)
        if key not in self._waiting and len(self._waiting) >= MAX_WAITING:
            self._dropped += 1
            return
        self._waiting[key] = series
        self._news.set()

    async def start(self) -> None:
        self._tasks.spawn(self._write_all(), name="write")

    async def stop(self) -> None:
        """Write what waits, for a short while, and end."""
        try:
            async with asyncio.timeout(FLUSH_DEADLINE):
                await self._tasks.close()
                while self._waiting:
                    await self._write_next()
        except TimeoutError:
            log.info("%s: %d events were not written", self.name, len(self._waiting))

    async def _write_all(self) -> None:
        while True:
            while self._waiting:
                await self._write_next()
            self._news.clear()
            await self._news.wait()

    async def _write_next(self) -> None:
        key, series = next(iter(self._waiting.items()))
        if self._dropped:
            log.warning("%s: dropped %d events, too many at a time", self.name, self._dropped)
            self._dropped = 0
        counted = series.count
        try:
            await self._write(series)
        except (ApiError, TransportError) as error:
            log.info("%s: event %s/%s was not written: %s", self.name, *key, error)
        series.written = counted
        if series.count == counted:
            del self._waiting[key]

    async def _write(self, series: Series) -> None:
        """Raises ApiError or TransportError after `TRIES`."""
        pause = FIRST_PAUSE
        for attempt in range(TRIES):
            try:
                await self._write_once(series)
            except TransportError:
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(pause)
                pause *= 2
            else:
                return

    async def _write_once(self, series: Series) -> None:
        if series.written:
            try:
                await self._client.patch(
                    kinds.EVENT, series.name, event_series.bump_patch(series), series.namespace
                )
                return
            except NotFound:
                # Events are kept for an hour or so; this one lasted longer.
                pass
        await self._client.create(
            kinds.EVENT, event_series.event_object(series, self._component, self._host)
        )
