"""A client that watches, and notices when it is not told something, or told it twice or falsely."""

import asyncio
from collections.abc import Callable, Sequence

from podling.controlplane.store import errors
from podling.controlplane.store.key_values import Event
from podling.controlplane.store.machine.mvcc import in_range
from podling.controlplane.store.requests import WatchCreateRequest, WatchResponse
from podling.simulate.store.clients import (
    ADMINISTRATOR,
    Clients,
    Lost,
    Unavailable,
    identify,
)
from podling.simulate.store.committed_history import CommittedHistory
from podling.simulate.store.member import Member, SimulatedServer
from podling.simulate.store.traces import Trace

RETRY = 0.3
"""Seconds until it tries another member."""

INVARIANT = "watches are complete and in order"


class Watching:
    """One watch, for ever: it goes on at another member where it was left."""

    def __init__(
        self,
        name: str,
        span: tuple[bytes, bytes],
        start: int,
        clients: Clients,
        history: CommittedHistory,
        trace: Trace,
    ) -> None:
        """`start` is the first revision of interest; 0 for what comes from now on."""
        self.name = name
        self._span = span
        self._next = start
        """The first revision of which it has not been told everything; 0: not known yet."""
        self._clients = clients
        self._history = history
        self._trace = trace
        self._attempt = 0

    @property
    def is_complete(self) -> bool:
        """Whether it has been told everything that was committed."""
        return self._next > 0 and not self._expected(self._history.revision)

    async def run(self, members: Sequence[Member], member: Member) -> None:
        while True:
            self._attempt += 1
            attempt = self._attempt
            try:
                await self._clients.follow(
                    member, lambda server, tell: self._read(server, tell), self._receiver(attempt)
                )
            except (Unavailable, Lost, errors.StoreError) as error:
                self._trace.note("watch-lost", f"{self.name} at {member.name}: {error!r}")
            self._attempt += 1
            member = members[member.number % len(members)]
            await asyncio.sleep(RETRY)

    async def _read(self, server: SimulatedServer, tell: Callable[[WatchResponse], None]) -> None:
        """On the member's loop: hand over every response until the stream ends."""
        user = await identify(server, ADMINISTRATOR)
        stream = server.store.watch_stream()
        try:
            request = WatchCreateRequest(*self._span, start_revision=self._next)
            stream.create(request, user=user)
            while True:
                response = await stream.next()
                tell(response)
                if response.canceled:
                    return
        finally:
            stream.close()

    def _receiver(self, attempt: int) -> Callable[[WatchResponse], None]:
        def receive(response: WatchResponse) -> None:
            # What an old stream says after all is of no interest any more.
            if attempt == self._attempt:
                self._take(response)

        return receive

    def _take(self, response: WatchResponse) -> None:
        if response.created:
            self._next = self._next or response.revision + 1
        elif response.compact_revision:
            if response.compact_revision <= self._next:
                self._fail(f"cancelled as compacted, but {self._next} is to be had", response)
            self._next = response.compact_revision
        elif response.events:
            self._compare(response)

    def _compare(self, response: WatchResponse) -> None:
        last = response.events[-1].kv.mod_revision
        expected = self._expected(last)
        told = [(event.kv, event.deleted) for event in response.events]
        if told != [(event.kv, event.deleted) for event in expected]:
            self._fail(f"told {told}, but there was {expected}", response)
        self._next = max(self._next, last + 1)

    def _expected(self, last: int) -> list[Event]:
        return [
            event
            for revision in range(self._next, last + 1)
            for event in self._history.events.get(revision, ())
            if in_range(event.kv.key, *self._span)
        ]

    def _fail(self, text: str, response: WatchResponse) -> None:
        self._trace.fail(INVARIANT, f"{self.name} from {self._next} on: {text} ({response})")
