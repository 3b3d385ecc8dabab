"""A snapshot on its way from one member in memory to another, which may be on another loop."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from podling.controlplane.raft.messages import InstallSnapshot
from podling.controlplane.replica.transport import Receiver, SnapshotRefused


class SnapshotStream:
    """Made by the sender, on its loop."""

    def __init__(
        self, message: InstallSnapshot, size: int, receiver: asyncio.AbstractEventLoop
    ) -> None:
        self._message = message
        self._size = size
        self._loop = receiver
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._sender = asyncio.get_running_loop()
        self._offset: asyncio.Future[int] = self._sender.create_future()
        """Where the receiver wants it to begin."""
        self._outcome: asyncio.Future[str] = self._sender.create_future()
        """Why it was refused; empty if it was taken."""
        self._receiving: asyncio.Task[None] | None = None

    # For the sender.

    async def begin(self) -> int:
        """Where to begin; raises SnapshotRefused."""
        either: set[asyncio.Future[Any]] = {self._offset, self._outcome}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        self._check()
        return self._offset.result()

    def put(self, piece: bytes) -> None:
        """Raises SnapshotRefused if it is known to be in vain."""
        self._check()
        self._loop.call_soon(self._pieces.put_nowait, piece)

    async def end(self) -> None:
        """Wait until the receiver has it; raises SnapshotRefused."""
        self._loop.call_soon(self._pieces.put_nowait, None)
        if reason := await self._outcome:
            raise SnapshotRefused(reason)

    def _check(self) -> None:
        if self._outcome.done() and (reason := self._outcome.result()):
            raise SnapshotRefused(reason)

    # For the receiver.

    def refuse(self, reason: str) -> None:
        self._settle(reason)

    def received_by(self, task: "asyncio.Task[None]") -> None:
        """The task that is cancelled if the stream breaks."""
        self._receiving = task

    async def receive(self, receiver: Receiver) -> None:
        """Hand on what comes."""
        try:
            offset = await receiver.snapshot_kept(self._message, self._size)
            self._sender.call_soon(self._offset.set_result, offset)
            await receiver.snapshot_offered(self._message, offset, self._size, self._chunks())
        except SnapshotRefused as error:
            self._settle(str(error))
        except Exception as error:
            # As of a call: the caller is told, and here it is said in the log.
            self._settle(repr(error))
            raise
        else:
            self._settle("")

    async def _chunks(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    # For the network.

    def break_off(self) -> None:
        """The way is gone, or one of the two."""
        self._settle("the way to the member is gone")
        if self._receiving is not None:
            self._loop.call_soon(self._receiving.cancel)

    def _settle(self, reason: str) -> None:
        self._sender.call_soon(self._set_outcome, reason)

    def _set_outcome(self, reason: str) -> None:
        if not self._outcome.done():
            self._outcome.set_result(reason)
