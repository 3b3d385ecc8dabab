"""Any number of watches answered through one stream (etcd: api/v3rpc/watch.go).

A stream has its own watch ids, from 0 on. `next` hands out responses in the order in which a client
must see them: the creation of a watch before its events, its events in order, and progress only
when everything before it has been handed out.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from podling.controlplane.store import errors
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.key_values import Event, KeyValue
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.machine.watchers import Watcher
from podling.controlplane.store.requests import WatchCreateRequest, WatchResponse

#: The watch id of a response that is about every watch of the stream, or about none.
ALL_WATCHES = -1

MAX_WATCHES = 10_000
"""On one stream; a client that asks for more is cut off."""

MAX_BACKLOG = 1000
"""Unread answers to requests of one stream beyond which no more requests of it are read."""

RECORD_OVERHEAD = 48
"""Bytes of the numbers of one record on the wire, at most."""


class _Watch:
    __slots__ = ("id", "quiet_since", "request", "watcher")

    def __init__(self, watch_id: int, request: WatchCreateRequest, now: float) -> None:
        self.id = watch_id
        self.request = request
        self.quiet_since = now
        self.watcher: Watcher


class WatchStream:
    """One client's watches. To be closed; `on_close` is called then."""

    def __init__(
        self,
        machine: StoreStateMachine,
        *,
        progress_interval: float,
        max_response_bytes: int,
        on_close: Callable[["WatchStream"], None],
    ) -> None:
        self._machine = machine
        self._progress_interval = progress_interval
        self._max_response_bytes = max_response_bytes
        self._on_close = on_close
        self._now = asyncio.get_running_loop().time
        self._watches: dict[int, _Watch] = {}
        self._notified: dict[_Watch, None] = {}
        """Those that are told of progress now and then."""
        self._next_id = 0
        self._outbox: deque[WatchResponse] = deque()
        """Responses to be handed out before any more events."""
        self._ready: dict[int, None] = {}
        """Watches that may have something, in the order in which they will be asked."""
        self._waiting: asyncio.Future[None] | None = None
        """Who waits in `next`; a bare future, because thousands of streams wake at every event."""
        self._room = asyncio.Event()
        self._progress_wanted = False
        self._end: errors.StoreError | None = None

    @property
    def revision(self) -> int:
        return self._machine.store.revision

    def create(self, request: WatchCreateRequest, *, user: Identity | None = None) -> WatchResponse:
        """Begin a watch. The response, which `next` hands out too, is a cancellation if the range
        is empty or not for `user` to read, the id in use or the start revision negative."""
        try:
            self._machine.auth.check_read(user, request.key, request.range_end)
        except errors.StoreError as error:
            return self.refuse(error)
        try:
            watch = self._add(request)
        except errors.StoreError as error:
            return self._canceled_at_once(str(error))
        return self._answer(WatchResponse(self.revision, watch.id, created=True))

    def refuse(self, error: errors.StoreError) -> WatchResponse:
        """Answer that a watch was not begun because of who asked; in etcd's form."""
        code = error.status.title().replace("_", "")
        return self._canceled_at_once(f"rpc error: code = {code} desc = {error}")

    def cancel(self, watch_id: int) -> None:
        """End a watch, if there is one of that id; its pending events are dropped."""
        watch = self._watches.get(watch_id)
        if watch is not None:
            self._remove(watch)
            self._outbox.append(WatchResponse(self.revision, watch_id, canceled=True))
            self._wake()

    def request_progress(self) -> None:
        """Have `next` say how far all watches are, once none of them has anything pending.

        As in etcd there is no answer without a watch, nor while one waits for a revision to come:
        a client would go on from an older one than it asked for.
        """
        self._progress_wanted = True
        self._wake()

    async def next(self) -> WatchResponse:
        """Wait for the next response. Raises what the stream was closed with."""
        while True:
            if self._end is not None:
                raise self._end
            if self._outbox:
                self._room.set()
                return self._outbox.popleft()
            if self._ready:
                if (response := self._take()) is not None:
                    return response
                # A watch that is catching up found nothing in this slice of history.
                await asyncio.sleep(0)
            elif self._progress_wanted:
                self._progress_wanted = False
                if self._watches and all(map(self._has_begun, self._watches.values())):
                    return WatchResponse(self.revision, ALL_WATCHES)
            elif (response := self._periodic_progress()) is not None:
                return response
            else:
                await self._wait()

    async def room(self) -> None:
        """Wait until a client that asks much and reads little has read some."""
        while len(self._outbox) > MAX_BACKLOG and self._end is None:
            self._room.clear()
            await self._room.wait()

    def close(self, error: errors.StoreError | None = None) -> None:
        """End every watch; whoever waits in `next` gets `error`. Idempotent."""
        if self._end is not None:
            return
        self._end = error or errors.Stopped()
        for watch in tuple(self._watches.values()):
            self._remove(watch)
        self._wake()
        self._room.set()
        self._on_close(self)

    def _canceled_at_once(self, reason: str) -> WatchResponse:
        response = WatchResponse(
            self.revision, ALL_WATCHES, created=True, canceled=True, cancel_reason=reason
        )
        return self._answer(response)

    def _answer(self, response: WatchResponse) -> WatchResponse:
        self._outbox.append(response)
        self._wake()
        return response

    def _add(self, request: WatchCreateRequest) -> _Watch:
        if request.start_revision < 0:
            raise errors.Compacted(0)
        if len(self._watches) >= MAX_WATCHES:
            raise errors.TooManyRequests
        if request.watch_id in self._watches and request.watch_id:
            raise errors.DuplicateWatchID
        while not request.watch_id and self._next_id in self._watches:
            self._next_id += 1
        watch = _Watch(request.watch_id or self._next_id, request, self._now())
        watch.watcher = self._machine.watchers.add(
            request.key,
            request.range_end,
            start_revision=request.start_revision,
            filters=request.filters,
            on_ready=lambda: self._on_ready(watch.id),
            prev_kv=request.prev_kv,
        )
        self._watches[watch.id] = watch
        if request.progress_notify:
            self._notified[watch] = None
        if not request.watch_id:
            self._next_id += 1
        return watch

    def _remove(self, watch: _Watch) -> None:
        self._machine.watchers.remove(watch.watcher)
        del self._watches[watch.id]
        self._notified.pop(watch, None)

    def _on_ready(self, watch_id: int) -> None:
        self._ready[watch_id] = None
        self._wake()

    def _take(self) -> WatchResponse | None:
        watch_id = next(iter(self._ready))
        del self._ready[watch_id]
        watch = self._watches.get(watch_id)
        if watch is None:
            return None
        watchers = self._machine.watchers
        try:
            batch = watchers.take(watch.watcher)
        except errors.Compacted as error:
            self._remove(watch)
            return WatchResponse(
                self.revision, watch.id, canceled=True, compact_revision=error.compact_revision
            )
        if not watch.watcher.synced:
            self._ready[watch.id] = None
        if batch is None or not batch.events:
            return None
        if watch.request.progress_notify:
            watch.quiet_since = self._now()
        return self._respond(watch, batch.events, batch.revision)

    def _respond(self, watch: _Watch, events: Sequence[Event], revision: int) -> WatchResponse:
        """The first of as many responses as it takes; the others are handed out next."""
        if len(events) == 1:
            return WatchResponse(revision, watch.id, events=events)
        limit = self._max_response_bytes
        *earlier, last = _pieces(events, limit, within_revisions=False)
        for piece in earlier:
            self._put_out(watch, piece, piece[-1].kv.mod_revision)
        self._put_out(watch, last, revision)
        return self._outbox.popleft()

    def _put_out(self, watch: _Watch, events: Sequence[Event], revision: int) -> None:
        fragments = [events]
        if watch.request.fragment:
            fragments = _pieces(events, self._max_response_bytes, within_revisions=True)
        for number, each in enumerate(fragments, start=1):
            more = number < len(fragments)
            self._outbox.append(WatchResponse(revision, watch.id, events=each, fragment=more))

    def _periodic_progress(self) -> WatchResponse | None:
        if not self._notified:
            return None
        now = self._now()
        for watch in self._notified:
            if now >= self._progress_due(watch):
                watch.quiet_since = now
                if self._has_begun(watch):
                    return WatchResponse(self.revision, watch.id)
        return None

    def _has_begun(self, watch: _Watch) -> bool:
        """Whether the revision that it starts from is the next one, or has been."""
        return watch.request.start_revision <= self.revision + 1

    def _progress_due(self, watch: _Watch) -> float:
        return watch.quiet_since + self._progress_interval

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _wait(self) -> None:
        """Until there may be something to hand out."""
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        if not self._notified:
            await self._waiting
            return
        due = min(self._progress_due(watch) for watch in self._notified)
        timer = loop.call_at(due, self._wake)
        try:
            await self._waiting
        finally:
            timer.cancel()


def _pieces(
    events: Sequence[Event], max_bytes: int, *, within_revisions: bool
) -> list[Sequence[Event]]:
    """The events cut into pieces of about `max_bytes`, or more if one revision takes more and must
    not be cut; at least one piece."""
    pieces: list[list[Event]] = [[]]
    size = 0
    for event in events:
        piece = pieces[-1]
        cost = _size(event.kv) + (_size(event.previous) if event.previous is not None else 0)
        if (
            piece
            and size + cost > max_bytes
            and (within_revisions or piece[-1].kv.mod_revision != event.kv.mod_revision)
        ):
            piece = []
            pieces.append(piece)
            size = 0
        piece.append(event)
        size += cost
    return list(pieces)


def _size(kv: KeyValue) -> int:
    """About what it takes on the wire."""
    return len(kv.key) + len(kv.value) + RECORD_OVERHEAD
