"""Streams a snapshot file to one peer; a stream that breaks is gone on with, not begun again."""

import asyncio
import logging
from collections.abc import Callable

import grpc
import grpc.aio

from podling.controlplane.raft.messages import InstallSnapshot
from podling.controlplane.raftpb import peer_pb2 as pb
from podling.controlplane.raftpb.peer_pb2_grpc import PeerStub
from podling.controlplane.replica.peers import wire
from podling.controlplane.replica.peers.peer_security import Gate
from podling.controlplane.replica.transport import SnapshotFile

log = logging.getLogger(__name__)

PROGRESS_TIMEOUT = 20.0
"""Seconds that a piece of a file may take, or the answer behind the last one."""
PAUSE = 0.5
"""Seconds until a stream that broke is gone on with."""
MAX_BREAKS = 5
"""Streams in a row that broke without having brought anything: then it is given up, and the core
asks for it again when the peer is heard from."""
_FINAL = (
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
)
"""What the peer says when it does not want the file, in contrast to ways that break."""


class SnapshotNotSent(Exception):
    """The peer has not got the file; the text says why."""


class _Ended(Exception):
    """A call has ended before its time."""

    def __init__(self, code: grpc.StatusCode, details: str | None) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code


class SnapshotSender:
    """One file on its way to one peer."""

    def __init__(
        self,
        channel: Callable[[], grpc.aio.Channel],
        gate: Gate,
        message: InstallSnapshot,
        file: SnapshotFile,
    ) -> None:
        self._channel = channel
        self._metadata = gate.call_metadata(message.to)
        self._message = message
        self._file = file
        self._offset = 0
        """Where the stream under way began."""

    async def send(self) -> None:
        """Return when the peer has it on its disk; raises SnapshotNotSent."""
        breaks, furthest = 0, 0
        while True:
            try:
                async with self._channel() as channel:
                    await self._stream(PeerStub(channel))
                return
            except OSError as error:
                raise SnapshotNotSent(f"its file cannot be read: {error}") from error
            except _Ended as error:
                if error.code in _FINAL:
                    raise SnapshotNotSent(str(error)) from error
                reason = str(error)
            except TimeoutError:
                reason = f"no progress for {PROGRESS_TIMEOUT:g} s"
            breaks = 0 if self._offset > furthest else breaks + 1
            furthest = max(furthest, self._offset)
            if breaks >= MAX_BREAKS:
                raise SnapshotNotSent(reason)
            log.info("stream of the snapshot at %d broke: %s", self._message.snapshot.index, reason)
            await asyncio.sleep(PAUSE)

    async def _stream(self, peer: PeerStub) -> None:
        """Raises OSError, TimeoutError or _Ended."""
        message = wire.encode(self._message)
        size = await self._file.size()
        try:
            async with asyncio.timeout(PROGRESS_TIMEOUT):
                offer = pb.SnapshotOffer(message=message, size=size)
                kept: pb.SnapshotKept = await peer.SnapshotOffset(offer, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise _Ended(error.code(), error.details()) from error
        self._offset = kept.offset
        call = peer.Snapshot(metadata=self._metadata)
        first = pb.SnapshotPiece(message=message, offset=kept.offset, size=size)
        try:
            await _write(call, first)
            async for data in self._file.read(kept.offset):
                await _write(call, pb.SnapshotPiece(data=data))
            async with asyncio.timeout(PROGRESS_TIMEOUT):
                await call.done_writing()
                await call
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            # What a write raises does not say why the call has ended; its status does.
            raise _Ended(await call.code(), await call.details()) from error


async def _write(
    call: "grpc.aio.StreamUnaryCall[pb.SnapshotPiece, pb.Empty]", piece: pb.SnapshotPiece
) -> None:
    async with asyncio.timeout(PROGRESS_TIMEOUT):
        await call.write(piece)
