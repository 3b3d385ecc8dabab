"""The called side of the peer protocol: checks who calls, then hands on what comes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

import grpc
import grpc.aio

from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft.messages import InstallSnapshot, Message
from podling.controlplane.raftpb import peer_pb2 as pb
from podling.controlplane.raftpb import peer_pb2_grpc
from podling.controlplane.replica.members import membership
from podling.controlplane.replica.peers import wire
from podling.controlplane.replica.peers.peer_security import (
    REFUSED_KEY,
    REMOVED,
    Caller,
    CallerRemoved,
    CallRefused,
    Gate,
)
from podling.controlplane.replica.peers.refusals import Refusals
from podling.controlplane.replica.transport import (
    Answering,
    NoAnswer,
    Receiver,
    SnapshotRefused,
)

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Incoming:
    """A stream that a peer has opened."""

    caller: Caller
    end: "asyncio.Future[CallRefused | None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """Set when it is to end, to the reason if the peer is no member any more."""

    def end_with(self, reason: CallRefused | None) -> None:
        if not self.end.done():
            self.end.set_result(reason)


class Called(Protocol):
    """What the service belongs to."""

    @property
    def gate(self) -> Gate: ...

    @property
    def receiver(self) -> Receiver | None:
        """None: this member is stopping."""

    @property
    def answering(self) -> Answering | None:
        """None: nobody is there who could answer."""

    def stream_began(self, stream: Incoming) -> None: ...

    def stream_ended(self, stream: Incoming) -> None: ...


class PeerService(peer_pb2_grpc.PeerServicer):
    """Serves the calls of peers."""

    def __init__(self, owner: Called) -> None:
        self._owner = owner
        self._refusals = Refusals()

    async def Messages(  # type: ignore[override]
        self,
        request_iterator: AsyncIterator[pb.Batch],
        context: "grpc.aio.ServicerContext[pb.Batch, pb.Empty]",
    ) -> None:
        stream = Incoming(await self._admit(context))
        peer = stream.caller.member_id
        await context.send_initial_metadata(self._owner.gate.answer_metadata())
        self._owner.stream_began(stream)
        try:
            await self._read_until_end(request_iterator, stream)
        except wire.UnknownMessage as error:
            log.error("messages of member %x are refused: %s", peer, error)
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))
        except CallRefused as error:
            await _refuse(context, error)
        finally:
            self._owner.stream_ended(stream)

    async def Snapshot(
        self, request_iterator: AsyncIterator[pb.SnapshotPiece], context: Any
    ) -> pb.Empty:
        peer = (await self._admit(context)).member_id
        try:
            first = await anext(request_iterator)
            message = _install_snapshot(first.message, peer)
            data = _data(request_iterator)
            await self._taking().snapshot_offered(message, first.offset, first.size, data)
        except (SnapshotRefused, wire.UnknownMessage, StopAsyncIteration) as error:
            log.warning("snapshot of member %x is refused: %s", peer, error)
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return pb.Empty()

    async def SnapshotOffset(self, request: pb.SnapshotOffer, context: Any) -> pb.SnapshotKept:
        peer = (await self._admit(context)).member_id
        try:
            message = _install_snapshot(request.message, peer)
            return pb.SnapshotKept(offset=await self._taking().snapshot_kept(message, request.size))
        except (SnapshotRefused, wire.UnknownMessage) as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            raise

    async def Members(self, request: pb.MembersRequest, context: Any) -> pb.MembersResponse:
        gate = self._owner.gate
        try:
            gate.check_stranger(context.auth_context())
            members = self._taking().membership
        except SnapshotRefused as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except CallRefused as error:
            self._tell(context.peer(), error)
            await _refuse(context, error)
        return pb.MembersResponse(
            cluster_id=gate.cluster_id,
            member_id=gate.member_id,
            membership=membership.encode(members),
        )

    async def Ask(self, request: pb.Question, context: Any) -> pb.Answer:
        await self._admit(context)
        await context.send_initial_metadata(())
        try:
            if self._owner.answering is None:
                raise NoAnswer("this member answers no questions")
            return pb.Answer(data=await self._owner.answering(request.data))
        except NoAnswer as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            raise

    async def _admit(self, context: Any) -> Caller:
        try:
            auth: Mapping[str, Iterable[bytes]] = context.auth_context()
            return self._owner.gate.admit(context.invocation_metadata(), auth)
        except CallRefused as error:
            self._tell(context.peer(), error)
            await _refuse(context, error)

    def _tell(self, peer: str, error: CallRefused) -> None:
        line = self._refusals.line(peer, str(error), asyncio.get_running_loop().time())
        if line is not None:
            log.warning("%s", line)

    async def _read_until_end(self, batches: AsyncIterator[pb.Batch], stream: Incoming) -> None:
        """Hand on what comes, until the stream ends or is to end.

        Raises UnknownMessage, and CallRefused if the peer is no member any more.
        """
        async with TaskSet(f"from-{stream.caller.member_id:x}") as tasks:
            reader = tasks.spawn(self._read(batches, stream.caller.member_id), name="read")
            either: set[asyncio.Future[Any]] = {reader, stream.end}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            reason = reader.result() if reader.done() else stream.end.result()
        if reason is not None:
            raise reason

    async def _read(
        self, batches: AsyncIterator[pb.Batch], peer: int
    ) -> wire.UnknownMessage | None:
        said: set[str] = set()
        try:
            async for batch in batches:
                messages, unknown = wire.decode_batch(batch)
                for each in {str(each) for each in unknown} - said:
                    said.add(each)
                    log.error("a message of member %x is passed over: %s", peer, each)
                self._received([each for each in messages if each.sender == peer])
        except wire.UnknownMessage as error:
            return error
        return None

    def _received(self, messages: Sequence[Message]) -> None:
        receiver = self._owner.receiver
        if receiver is not None and messages:
            receiver.received(messages)

    def _taking(self) -> Receiver:
        """Raises SnapshotRefused while stopping."""
        receiver = self._owner.receiver
        if receiver is None:
            raise SnapshotRefused("this member is stopping")
        return receiver


async def _refuse(context: Any, error: CallRefused) -> NoReturn:
    if isinstance(error, CallerRemoved):
        code, trailing = grpc.StatusCode.FAILED_PRECONDITION, ((REFUSED_KEY, REMOVED),)
        await context.abort(code, str(error), trailing)
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
    raise AssertionError("abort does not return") from error


def _install_snapshot(encoded: pb.Message, peer: int) -> InstallSnapshot:
    message = wire.decode(encoded)
    if not isinstance(message, InstallSnapshot) or message.sender != peer:
        raise wire.UnknownMessage("a snapshot must be named first")
    return message


async def _data(pieces: AsyncIterator[pb.SnapshotPiece]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece.data
