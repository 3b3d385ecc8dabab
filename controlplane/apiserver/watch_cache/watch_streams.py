"""One watch, from the request to the end of its stream.

    resourceVersion N                       what the window has after N, then live
    unset or "0"                            the present state as ADDED events, then live
    sendInitialEvents=true                  the same, and a bookmark that says where the state ends
    sendInitialEvents=false, unset or "0"   live from now

Source: the Kubernetes document "Kubernetes API concepts", sections "Efficient detection of changes"
and "Streaming lists".
"""

import asyncio
from dataclasses import dataclass
from random import Random

from podling.controlplane.apiserver.request.messages import Sink, Stream
from podling.controlplane.apiserver.request.options import ListOptions, check_watch
from podling.controlplane.apiserver.storage.encoded import Encoded
from podling.controlplane.apiserver.watch_cache.kind_cache import Change, TooOld
from podling.controlplane.apiserver.watch_cache.object_lists import (
    ObjectLists,
    filtered,
    selection_for,
)
from podling.controlplane.apiserver.watch_cache.selection import Selection
from podling.controlplane.apiserver.watch_cache.watch_cache import NotLoaded, WatchCache
from podling.controlplane.apiserver.watch_cache.watchers import End, Watcher, WatchFormat
from podling.kube import errors, watch_frames
from podling.kube.kinds import Kind

TIMEOUT_MIN, TIMEOUT_MAX = 1800.0, 3600.0
"""Seconds after which a watch ends that did not say when; drawn, so that not all end at once."""
BOOKMARK_PERIOD = 60.0
DRAIN_AT = 256 << 10
"""Bytes of state that are written before the peer is waited for."""


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What a watch is told before it is live."""

    watcher: Watcher
    changes: list[Change]
    state: list[Encoded] | None
    revision: int
    """Where it stands once it has been told."""


class WatchStreams:
    """Makes watches; raises ApiError or StorageError before a stream begins."""

    def __init__(
        self, cache: WatchCache, lists: ObjectLists, dice: Random, buffer_bytes_max: int
    ) -> None:
        self._cache = cache
        self._lists = lists
        self._dice = dice
        self._buffer_bytes_max = buffer_bytes_max

    async def open(
        self, kind: Kind, namespace: str, options: ListOptions, form: WatchFormat
    ) -> Stream:
        """A stream that may begin: everything that can be wrong with the request has been seen."""
        check_watch(options)
        selection = selection_for(kind, namespace, options)
        version = options.resource_version
        if version in ("", "0") or options.send_initial_events:
            await self._lists.catch_up_for(version)
        self._cache.of(kind)
        return _WatchStream(self, kind, selection, options, form).run

    def begin(self, stream: "_WatchStream", sink: Sink) -> _Beginning:
        """The state or the changes a watch begins with, and its place among the watchers.

        Nothing can happen between the two, because nothing here waits. Raises TooOld, or NotLoaded
        if the cache has been lost since the watch was opened.
        """
        cache = self._cache.of(stream.kind)
        version = int(stream.options.resource_version or "0")
        wanted = stream.options.send_initial_events
        state, changes, after = None, [], max(version, self._cache.revision)
        if wanted or (wanted is None and not version):
            state = cache.snapshot(stream.selection.prefix)
        elif version:
            changes = cache.since(version)
        watcher = Watcher(
            stream.selection,
            stream.form,
            sink,
            after=after,
            buffer_bytes_max=self._buffer_bytes_max,
        )
        self._cache.add_watcher(stream.kind, watcher)
        return _Beginning(watcher, changes, None if state is None else list(state), after)

    def leave(self, kind: Kind, watcher: Watcher) -> None:
        self._cache.discard_watcher(kind, watcher)

    def lifetime(self, options: ListOptions) -> float:
        """Seconds."""
        if options.timeout_seconds:
            return float(options.timeout_seconds)
        return self._dice.uniform(TIMEOUT_MIN, TIMEOUT_MAX)

    @property
    def revision(self) -> int:
        return self._cache.revision


class _WatchStream:
    """One watch's stream."""

    def __init__(
        self,
        streams: WatchStreams,
        kind: Kind,
        selection: Selection,
        options: ListOptions,
        form: WatchFormat,
    ) -> None:
        self.kind = kind
        self.selection = selection
        self.options = options
        self.form = form
        self._streams = streams

    async def run(self, sink: Sink) -> None:
        """Write events until the watch ends; cancelled when the peer goes."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._streams.lifetime(self.options)
        try:
            beginning = self._streams.begin(self, sink)
        except (TooOld, NotLoaded) as error:
            sink.write(self.form.error(errors.Expired(str(error))))
            return
        try:
            await self._tell(beginning, sink)
            await self._live(beginning, ends_at)
        finally:
            self._streams.leave(self.kind, beginning.watcher)
        self._say_farewell(beginning, sink)

    async def _tell(self, beginning: _Beginning, sink: Sink) -> None:
        """Everything before the watch is live."""
        watcher = beginning.watcher
        for change in beginning.changes:
            seen_as = self.selection.change(change.before, change.after)
            if seen_as is not None:
                watcher.write(change, seen_as)
                await _drain(sink)
        if beginning.state is not None:
            async for entry in filtered(beginning.state, self.selection):
                watcher.write_object(watch_frames.ADDED, entry.value)
                await _drain(sink)
            if self.options.send_initial_events and self.options.allow_watch_bookmarks:
                watcher.write_bookmark(beginning.revision, end_of_state=True)
        while watcher.ended is None and not watcher.release():
            await sink.drain()

    async def _live(self, beginning: _Beginning, ends_at: float) -> None:
        """Wait for the end, with a bookmark now and then."""
        loop = asyncio.get_running_loop()
        while (left := ends_at - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(left, BOOKMARK_PERIOD)):
                    await beginning.watcher.over()
                return
            except TimeoutError:
                self._bookmark(beginning)

    def _bookmark(self, beginning: _Beginning) -> None:
        # A watch that began in the future has not come as far as it was told yet.
        if self.options.allow_watch_bookmarks and self._streams.revision >= beginning.revision:
            beginning.watcher.write_bookmark(self._streams.revision)

    def _say_farewell(self, beginning: _Beginning, sink: Sink) -> None:
        match beginning.watcher.ended:
            case End.SLOW:
                sink.abort()
            case End.EXPIRED:
                beginning.watcher.write_error(
                    errors.Expired("The watch missed events: list again.")
                )
            case End.STOPPING | None:
                pass


async def _drain(sink: Sink) -> None:
    if sink.buffered > DRAIN_AT:
        await sink.drain()
