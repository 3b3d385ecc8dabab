"""Messages between members over gRPC: one long-lived stream in each direction.

A unary call costs hundreds of microseconds in grpcio before any work, a message on an open stream a
fraction of that; and whatever waits to be sent goes in one message.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc
import grpc.aio

from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft.messages import InstallSnapshot, Message
from podling.controlplane.raftpb import peer_pb2 as pb
from podling.controlplane.raftpb import peer_pb2_grpc
from podling.controlplane.replica import wire
from podling.controlplane.replica.config import Member
from podling.controlplane.replica.peer_link import CHANNEL_OPTIONS, LinkEvents, PeerLink
from podling.controlplane.replica.peer_security import Caller, CallRefused, Gate, PeerTls
from podling.controlplane.replica.transport import Receiver, SnapshotRefused, TransportError

log = logging.getLogger(__name__)

STOP_GRACE = 0.2
"""Seconds that peers have to see the end of their streams."""

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
    tls: PeerTls | None
    """None: plain text, and callers are believed."""
    listen_address: str = ""
    """`host:port` to listen on, if not this member's address."""


class GrpcTransport:
    """A `Transport` over gRPC."""

    def __init__(self, config: GrpcTransportConfig, dice: random.Random) -> None:
        self._config = config
        self._dice = dice
        self._gate = Gate(
            config.cluster_id, config.member_id, config.members, secure=config.tls is not None
        )
        self._me = config.members[config.member_id]
        self._tasks = TaskSet(f"{self._me.name}/peers")
        self._links: dict[int, PeerLink] = {}
        self._incoming: dict[int, int] = {}
        """Streams open from each peer."""
        self._command_versions: dict[int, int] = {}
        """What each peer said when it last opened one."""
        self._connected: frozenset[int] = frozenset()
        self._server: grpc.aio.Server | None = None
        self._receiver: Receiver | None = None
        self._stopping = asyncio.Event()

    async def start(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._gate = replace(self._gate, command_version=receiver.command_version)
        self._stopping.clear()
        await self._listen()
        events = LinkEvents(self._opened, self._lost)
        for peer, member in self._config.members.items():
            if peer != self._config.member_id:
                link = PeerLink(peer, member, self._gate, self._config.tls, events, self._dice)
                self._links[peer] = link
                self._tasks.spawn(link.run(), name=f"to-{member.name}")

    async def stop(self) -> None:
        self._receiver = None
        self._stopping.set()
        await self._tasks.close()
        if self._server is not None:
            await self._server.stop(STOP_GRACE)
            self._server = None

    def send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            link = self._links.get(message.to)
            if link is not None:
                link.send(message)

    def send_snapshot(self, message: InstallSnapshot, chunks: AsyncIterator[bytes]) -> None:
        self._tasks.spawn(
            self._stream_snapshot(message, chunks), name=f"snapshot-to-{message.to:x}"
        )

    def connected_peers(self) -> frozenset[int]:
        return self._connected

    def command_versions(self) -> Mapping[int, int]:
        return {peer: self._command_versions[peer] for peer in self._connected}

    async def _stream_snapshot(
        self, message: InstallSnapshot, chunks: AsyncIterator[bytes]
    ) -> None:
        ok = await self._links[message.to].send_snapshot(message, chunks)
        if self._receiver is not None:
            self._receiver.snapshot_sent(message.to, ok)

    async def _listen(self) -> None:
        address = self._config.listen_address or self._me.address
        server = grpc.aio.server(options=SERVER_OPTIONS)
        peer_pb2_grpc.add_PeerServicer_to_server(_Service(self), server)
        try:
            if self._config.tls is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, self._config.tls.server_credentials())
        except RuntimeError as error:
            port, cause = 0, str(error)
        else:
            cause = ""
        if port == 0:
            await server.stop(grace=0)
            raise TransportError(
                f"{self._me.name} cannot listen for its peers on {address}: the address is in use, "
                f"or not one of this machine. {cause}".rstrip()
            )
        await server.start()
        self._server = server

    def _opened(self, peer: int) -> None:
        self._update_connected()

    def _lost(self, peer: int) -> None:
        self._update_connected()
        if self._receiver is not None:
            self._receiver.unreachable(peer)

    def _update_connected(self) -> None:
        before = self._connected
        self._connected = frozenset(
            peer for peer, link in self._links.items() if link.open and self._incoming.get(peer)
        )
        if self._receiver is not None:
            for peer in sorted(self._connected - before):
                self._receiver.connected(peer)

    def admit(self, context: "grpc.aio.ServicerContext[Any, Any]") -> Caller:
        """Who is calling; raises CallRefused."""
        auth: Mapping[str, Iterable[bytes]] = context.auth_context()
        return self._gate.admit(context.invocation_metadata(), auth)

    def stream_began(self, caller: Caller) -> None:
        peer = caller.member_id
        self._command_versions[peer] = caller.command_version
        self._incoming[peer] = self._incoming.get(peer, 0) + 1
        self._links[peer].hurry()
        self._update_connected()

    def stream_ended(self, peer: int) -> None:
        self._incoming[peer] -= 1
        self._update_connected()

    async def read_until_stopped(self, batches: AsyncIterator[pb.Batch]) -> None:
        """Hand on what comes, until the stream or this transport ends; raises UnknownMessage."""
        async with TaskSet(f"{self._me.name}/stream") as tasks:
            reader = tasks.spawn(self._read(batches), name="read")
            stopped = tasks.spawn(self._stopping.wait(), name="stop")
            await asyncio.wait({reader, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and (refused := reader.result()) is not None:
                raise refused

    async def _read(self, batches: AsyncIterator[pb.Batch]) -> wire.UnknownMessage | None:
        try:
            async for batch in batches:
                self.received(wire.decode_batch(batch))
        except wire.UnknownMessage as error:
            return error
        return None

    def received(self, messages: Sequence[Message]) -> None:
        if self._receiver is not None:
            self._receiver.received(messages)

    async def snapshot_offered(self, message: InstallSnapshot, data: AsyncIterator[bytes]) -> None:
        if self._receiver is None:
            raise SnapshotRefused("this member is stopping")
        await self._receiver.snapshot_offered(message, data)


class _Service(peer_pb2_grpc.PeerServicer):
    """The called side: checks who calls, then hands on what comes."""

    def __init__(self, transport: GrpcTransport) -> None:
        self._transport = transport

    async def Messages(  # type: ignore[override]
        self,
        request_iterator: AsyncIterator[pb.Batch],
        context: "grpc.aio.ServicerContext[pb.Batch, pb.Empty]",
    ) -> None:
        caller = await self._admit(context)
        peer = caller.member_id
        await context.send_initial_metadata(())
        self._transport.stream_began(caller)
        try:
            await self._transport.read_until_stopped(request_iterator)
        except wire.UnknownMessage as error:
            log.error("messages of member %x are refused: %s", peer, error)
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))
        finally:
            self._transport.stream_ended(peer)

    async def Snapshot(
        self,
        request_iterator: AsyncIterator[pb.SnapshotPiece],
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> pb.Empty:
        peer = (await self._admit(context)).member_id
        try:
            first = await anext(request_iterator)
            message = wire.decode(first.message)
            if not isinstance(message, InstallSnapshot) or message.sender != peer:
                raise wire.UnknownMessage("a snapshot must be named first")
            await self._transport.snapshot_offered(message, _data(request_iterator))
        except (SnapshotRefused, wire.UnknownMessage, StopAsyncIteration) as error:
            log.warning("snapshot of member %x is refused: %s", peer, error)
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return pb.Empty()

    async def _admit(self, context: "grpc.aio.ServicerContext[Any, Any]") -> Caller:
        try:
            return self._transport.admit(context)
        except CallRefused as error:
            log.warning("call from %s refused: %s", context.peer(), error)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
            raise AssertionError("abort does not return") from error


async def _data(pieces: AsyncIterator[pb.SnapshotPiece]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece.data
