"""The way from this member to one peer: a stream that is opened again whenever it breaks."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import grpc
import grpc.aio

from podling.aiokit.backoff import Backoff
from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft.messages import AppendRequest, InstallSnapshot, Message, size_of
from podling.controlplane.raftpb import peer_pb2 as pb
from podling.controlplane.raftpb.peer_pb2_grpc import PeerStub
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers import wire
from podling.controlplane.replica.peers.peer_security import (
    REFUSED_KEY,
    REMOVED,
    Gate,
    open_channel,
    way_of,
)
from podling.controlplane.replica.peers.snapshot_sender import SnapshotNotSent, SnapshotSender
from podling.controlplane.replica.transport import NoAnswer, SnapshotFile

log = logging.getLogger(__name__)

MAX_QUEUED_MESSAGES = 4096
MAX_QUEUED_BYTES = 32 * 1024 * 1024
BATCH_BYTES = 2 * 1024 * 1024
"""Entries in one batch, unless a single message has more."""
CONNECT_TIMEOUT = 2.0
"""Seconds until an attempt is given up."""
WORRYING_FAILURES = 7
"""Attempts in a row, in about two seconds, after which a peer is complained about: before, it may
be starting, or be stopped together with this one."""
MAX_COMPLAINTS = 5
"""About one peer until it is reached again."""


@dataclass(frozen=True, slots=True)
class LinkEvents:
    """Whom to tell; each gets the peer's id."""

    opened: Callable[[int], None]
    lost: Callable[[int], None]
    """Messages were dropped, or the stream broke."""
    removed: Callable[[int], None]
    """The peer says that this member was removed."""


class PeerLink:
    """Sends to one peer, in order, many messages at a time."""

    def __init__(
        self,
        peer: int,
        member: Member,
        gate: Gate,
        events: LinkEvents,
        dice: random.Random,
    ) -> None:
        self._peer = peer
        self._member = member
        self._gate = gate
        self._name = member.name or f"{peer:x}"
        self._urls = deque(member.peer_urls)
        """The one in use first."""
        self._events = events
        self._backoff = Backoff(first=0.05, cap=1.0, dice=dice)
        self._queue: deque[Message] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._complaints: set[str] = set()
        self._failures = 0
        self.open = False
        self.version = gate.wire_version
        """Of the messages that are spoken while it is open."""

    def leads_to(self, member: Member) -> bool:
        """Whether the way to this member would be the same."""
        mine = self._member
        return (mine.name, mine.peer_urls) == (member.name, member.peer_urls)

    def send(self, message: Message) -> None:
        """Queue a message, or drop it and say so."""
        size = _size(message)
        full = len(self._queue) >= MAX_QUEUED_MESSAGES
        if full or (self._queue and self._queued_bytes + size > MAX_QUEUED_BYTES):
            self._events.lost(self._peer)
            return
        self._queue.append(message)
        self._queued_bytes += size
        self._wake.set()

    def hurry(self) -> None:
        """The peer is known to be there: do not wait to connect."""
        self._hurry.set()

    async def run(self) -> None:
        """Connect, send, connect again; for ever."""
        while True:
            try:
                reason = await self._session()
            except grpc.aio.AioRpcError as error:
                reason = reason_of(error)
                if _says_removed(error):
                    self._events.removed(self._peer)
            except (wire.UnknownMessage, TimeoutError) as error:
                reason = reason_of(error)
            self._broken(reason)
            self._urls.rotate(-1)
            await self._pause()

    async def send_snapshot(self, message: InstallSnapshot, file: SnapshotFile) -> bool:
        """Stream a snapshot file on calls of its own; whether the peer has it."""
        try:
            if self.version < wire.READS_SNAPSHOTS:
                raise SnapshotNotSent("it runs an older program, which cannot read it; upgrade it")
            await SnapshotSender(self._channel, self._gate, message, file).send()
        except SnapshotNotSent as error:
            index = message.snapshot.index
            log.warning("snapshot at %d not sent to %s: %s", index, self._name, error)
            return False
        return True

    async def ask(self, question: bytes, timeout: float, reach: float) -> bytes:
        """See `GrpcTransport.ask`."""
        request, metadata = pb.Question(data=question), self._gate.call_metadata(self._peer)
        try:
            async with self._channel() as channel:
                call = PeerStub(channel).Ask(request, metadata=metadata, timeout=timeout)
                # Whoever is there says so at once, and then takes its time.
                async with asyncio.timeout(reach):
                    await call.initial_metadata()
                return (await call).data
        except grpc.aio.AioRpcError as error:
            raise NoAnswer(reason_of(error)) from error
        except TimeoutError as error:
            raise NoAnswer(f"it was not reached within {reach:g} s") from error

    def _channel(self) -> grpc.aio.Channel:
        url = self._urls[0] if self._urls else ""
        return open_channel(url, self._gate.tls, self._member.name)

    @property
    def _address(self) -> str:
        return way_of(self._urls[0], None).address if self._urls else ""

    async def _session(self) -> str:
        """One stream, from its opening until it ends or breaks; returns why."""
        async with self._channel() as channel, TaskSet(f"peer-{self._name}") as tasks:
            call = PeerStub(channel).Messages(metadata=self._gate.call_metadata(self._peer))
            async with asyncio.timeout(CONNECT_TIMEOUT):
                answer = await call.initial_metadata()
                if call.done():
                    await call.read()
            self.version = self._gate.common_version(answer)
            self._opened()
            ended = tasks.spawn(_until_end(call), name="end")
            return await self._write_until(call, ended)

    async def _write_until(
        self,
        call: "grpc.aio.StreamStreamCall[pb.Batch, pb.Empty]",
        ended: "asyncio.Task[grpc.aio.AioRpcError | None]",
    ) -> str:
        ended.add_done_callback(lambda _: self._wake.set())
        while not ended.done():
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                await call.write(wire.encode_batch(self._next_batch(), self.version))
            except asyncio.InvalidStateError:
                break
        error = await ended
        if error is not None:
            raise error
        return "the peer ended the stream"

    def _next_batch(self) -> list[Message]:
        batch: list[Message] = []
        size = 0
        while self._queue and (not batch or size + _size(self._queue[0]) <= BATCH_BYTES):
            message = self._queue.popleft()
            size += _size(message)
            batch.append(message)
        self._queued_bytes -= size
        return batch

    def _opened(self) -> None:
        log.info("connected to %s at %s", self._name, self._address)
        self._backoff.reset()
        self._complaints.clear()
        self._failures = 0
        self.open = True
        self._events.opened(self._peer)

    def _broken(self, reason: str) -> None:
        self._failures += 1
        if self.open:
            log.info("lost %s at %s: %s", self._name, self._address, reason)
        elif self._failures >= WORRYING_FAILURES:
            self._complain(reason)
        self.open = False
        self._queue.clear()
        self._queued_bytes = 0
        self._events.lost(self._peer)

    def _complain(self, reason: str) -> None:
        """Say each reason once, not at every attempt."""
        if reason not in self._complaints and len(self._complaints) < MAX_COMPLAINTS:
            self._complaints.add(reason)
            log.warning("no way to %s at %s: %s", self._name, self._address, reason)

    async def _pause(self) -> None:
        self._hurry.clear()
        try:
            async with asyncio.timeout(self._backoff.next()):
                await self._hurry.wait()
        except TimeoutError:
            pass


async def _until_end(
    call: "grpc.aio.StreamStreamCall[pb.Batch, pb.Empty]",
) -> grpc.aio.AioRpcError | None:
    """Wait until the stream ends or breaks; return why, if it broke."""
    try:
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error
    return None


def _size(message: Message) -> int:
    """Bytes of a message, roughly; only append messages are large."""
    if isinstance(message, AppendRequest):
        return 64 + size_of(message.entries)
    return 64


def _says_removed(error: grpc.aio.AioRpcError) -> bool:
    return (REFUSED_KEY, REMOVED) in tuple(error.trailing_metadata() or ())


def reason_of(error: BaseException) -> str:
    """In a word, for people."""
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return str(error) or type(error).__name__
