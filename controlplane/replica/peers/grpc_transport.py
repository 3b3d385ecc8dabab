"""Messages between members over gRPC: one long-lived stream in each direction.

A unary call costs hundreds of microseconds in grpcio before any work, a message on an open stream a
fraction of that; and whatever waits to be sent goes in one message.
"""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import grpc
import grpc.aio

from podling.aiokit import addresses
from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft.messages import InstallSnapshot, Message
from podling.controlplane.raftpb import peer_pb2_grpc
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers import wire
from podling.controlplane.replica.peers.peer_link import LinkEvents, PeerLink
from podling.controlplane.replica.peers.peer_security import (
    CHANNEL_OPTIONS,
    CallRefused,
    Gate,
    PeerTls,
    Way,
    way_of,
)
from podling.controlplane.replica.peers.peer_service import Incoming, PeerService
from podling.controlplane.replica.transport import (
    Answering,
    NoAnswer,
    Receiver,
    SnapshotFile,
    TransportError,
)

log = logging.getLogger(__name__)

STOP_GRACE = 0.2
"""Seconds that peers have to see the end of their streams."""
REACH_TIMEOUT = 5.0
"""Seconds in which whoever is there at all begins to answer a question."""

MAX_NEWCOMERS = 16
"""Callers that are in no list known here, and are answered all the same."""
SERVER_OPTIONS = (
    *CHANNEL_OPTIONS,
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


@dataclass(frozen=True, slots=True)
class GrpcTransportConfig:
    """Who this member is, and where its peers are."""

    cluster_id: int
    member_id: int
    members: Mapping[int, Member]
    """Until the replica says who they are (`set_members`); this one included."""
    tls: PeerTls | None
    """None: plain text, and callers are believed."""
    listen_urls: tuple[str, ...] = ()
    """Where to listen, if not at this member's peer URLs."""
    wire_version: int = wire.VERSION
    """The newest version of messages to speak; an older one is for tests of upgrades."""


class _Link(NamedTuple):
    """The way to a peer, and the task that keeps it open."""

    link: PeerLink
    task: "asyncio.Task[None]"


class GrpcTransport:
    """A `Transport` over gRPC."""

    def __init__(self, config: GrpcTransportConfig, dice: random.Random) -> None:
        self._config = config
        self._dice = dice
        self._me = config.members[config.member_id]
        self.gate = Gate(
            config.cluster_id,
            config.member_id,
            config.tls,
            config.members,
            wire_version=config.wire_version,
        )
        self.receiver: Receiver | None = None
        self.answering: Answering | None = None
        """Answers what peers ask; whoever knows sets it."""
        self._tasks = TaskSet(f"{self._me.name}/peers")
        self._links: dict[int, _Link] = {}
        self._incoming: dict[int, list[Incoming]] = {}
        """Streams open from each peer, the newest last."""
        self._newcomers: dict[int, tuple[int, Member]] = {}
        """Callers in no list known here, and the version of the list in which they say they are."""
        self._sending: dict[int, asyncio.Task[None]] = {}
        """The snapshot on its way to each peer, or the last one."""
        self._connected: frozenset[int] = frozenset()
        self._server: grpc.aio.Server | None = None

    def set_members(
        self, members: Mapping[int, Member], removed: frozenset[int], version: int
    ) -> None:
        gate = self.gate
        if (members, removed, version) == (gate.members, gate.removed, gate.version):
            return
        gate.members, gate.removed, gate.version = members, removed, version
        self._newcomers = {
            peer: newcomer
            for peer, newcomer in self._newcomers.items()
            if newcomer[0] > version and peer not in removed
        }
        if self.receiver is not None:
            self._end_refused()
            self._update_links()

    async def start(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.gate.command_version = receiver.command_version
        await self._listen()
        self._update_links()

    async def stop(self) -> None:
        self.receiver = None
        for streams in self._incoming.values():
            for stream in streams:
                stream.end_with(None)
        await self._tasks.close()
        self._links.clear()
        self._sending.clear()
        self._connected = frozenset()
        if self._server is not None:
            await self._server.stop(STOP_GRACE)
            self._server = None

    def send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            way = self._links.get(message.to)
            if way is not None:
                way.link.send(message)

    def send_snapshot(self, message: InstallSnapshot, file: SnapshotFile) -> None:
        before = self._sending.get(message.to)
        if before is not None:
            before.cancel()
        self._sending[message.to] = self._tasks.spawn(
            self._stream_snapshot(message, file), name=f"snapshot-to-{message.to:x}"
        )

    def connected_peers(self) -> frozenset[int]:
        return self._connected

    def command_versions(self) -> Mapping[int, int]:
        return {peer: self._incoming[peer][-1].caller.command_version for peer in self._connected}

    def wire_versions(self) -> Mapping[int, int]:
        return {peer: self._links[peer].link.version for peer in self._connected}

    async def ask(
        self, peer: int, question: bytes, timeout: float, *, reach: float = REACH_TIMEOUT
    ) -> bytes:
        """What the peer's `answering` says within `timeout` seconds, if it is reached within
        `reach` of them. Raises NoAnswer."""
        way = self._links.get(peer)
        if way is None:
            raise NoAnswer("there is no way to it")
        return await way.link.ask(question, timeout, reach)

    async def _stream_snapshot(self, message: InstallSnapshot, file: SnapshotFile) -> None:
        way = self._links.get(message.to)
        ok = way is not None and await way.link.send_snapshot(message, file)
        if self.receiver is not None:
            self.receiver.snapshot_sent(message.to, ok)

    async def _listen(self) -> None:
        urls = self._config.listen_urls or self._me.peer_urls
        server = grpc.aio.server(options=SERVER_OPTIONS)
        peer_pb2_grpc.add_PeerServicer_to_server(PeerService(self), server)
        for url in urls:
            way = way_of(url, self._config.tls)
            cause = _bind(server, way)
            if cause is not None:
                await server.stop(grace=0)
                raise TransportError(
                    f"{self._me.name} cannot listen for its peers on {way.address}: {cause}"
                )
        await server.start()
        self._server = server

    def _update_links(self) -> None:
        """Keep a way open to everybody who is to be reached, and to nobody else."""
        wanted = {peer: member for peer, (_, member) in self._newcomers.items()}
        wanted |= self.gate.members
        wanted.pop(self._config.member_id, None)
        for peer, way in list(self._links.items()):
            if peer not in wanted or not way.link.leads_to(wanted[peer]):
                way.task.cancel()
                del self._links[peer]
                self._lost(peer)
        events = LinkEvents(self._opened, self._lost, self._told_removed)
        for peer in sorted(wanted.keys() - self._links.keys()):
            member = wanted[peer]
            link = PeerLink(peer, member, self.gate, events, self._dice)
            task = self._tasks.spawn(link.run(), name=f"to-{member.name or f'{peer:x}'}")
            self._links[peer] = _Link(link, task)

    def _end_refused(self) -> None:
        """End the streams of those who would not be admitted any more."""
        for stream in [each for streams in self._incoming.values() for each in streams]:
            try:
                self.gate.check(stream.caller)
            except CallRefused as reason:
                stream.end_with(reason)

    def _opened(self, peer: int) -> None:
        self._update_connected()

    def _lost(self, peer: int) -> None:
        self._update_connected()
        if self.receiver is not None:
            self.receiver.unreachable(peer)

    def _told_removed(self, peer: int) -> None:
        if self.receiver is not None:
            self.receiver.removed(peer)

    def _update_connected(self) -> None:
        before = self._connected
        self._connected = frozenset(
            peer for peer, way in self._links.items() if way.link.open and self._incoming.get(peer)
        )
        if self.receiver is not None:
            for peer in sorted(self._connected - before):
                self.receiver.connected(peer)

    def stream_began(self, stream: Incoming) -> None:
        caller = stream.caller
        streams = self._incoming.setdefault(caller.member_id, [])
        for broken in streams:
            # A peer opens another stream when it has lost the one before, seen here or not.
            broken.end_with(None)
        streams.append(stream)
        if self.receiver is None:
            stream.end_with(None)
            return
        if caller.member_id not in self.gate.members and len(self._newcomers) < MAX_NEWCOMERS:
            self._newcomers[caller.member_id] = (caller.membership_version, caller.member)
            self._update_links()
        if caller.member_id in self._links:
            self._links[caller.member_id].link.hurry()
        self._update_connected()

    def stream_ended(self, stream: Incoming) -> None:
        caller = stream.caller.member_id
        self._incoming[caller].remove(stream)
        if not self._incoming[caller]:
            del self._incoming[caller]
        self._update_connected()


def _bind(server: grpc.aio.Server, way: Way) -> str | None:
    """Why it cannot be listened on; None if it can."""
    try:
        addresses.check_free(way.address)
        if way.tls is None:
            port = server.add_insecure_port(way.address)
        else:
            port = server.add_secure_port(way.address, way.tls.server_credentials())
    except (RuntimeError, OSError) as error:
        return str(error)
    return None if port else "the library does not say why"
