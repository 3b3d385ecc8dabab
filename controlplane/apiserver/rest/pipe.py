"""A sink with a reader at its other end, for faces that have no socket of their own."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from podling.controlplane.apiserver.request.messages import Stream

HIGH_WATER = 1 << 20
"""Bytes that may wait for the reader before the writer of a long answer waits."""


class Pipe:
    """Implements `messages.Sink`: one writes, another reads, in the same loop."""

    def __init__(self) -> None:
        self.buffered = 0
        self.broken = False
        """The writer gave up: what was read is not the whole answer."""
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()

    def write(self, data: bytes) -> None:
        if data and not self._ended:
            self._pieces.append(data)
            self.buffered += len(data)
            self._changed.set()

    async def drain(self) -> None:
        while self.buffered > HIGH_WATER and not self._ended:
            self._taken.clear()
            await self._taken.wait()

    def abort(self) -> None:
        self.broken = True
        self._pieces.clear()
        self.end()

    def end(self) -> None:
        """Nothing more is written, or nobody reads any more."""
        self._ended = True
        self._changed.set()
        self._taken.set()

    async def fill(self, stream: Stream) -> None:
        """Have `stream` write all of it; the pipe is broken if it fails."""
        try:
            await stream(self)
        except BaseException:
            self.abort()
            raise
        self.end()

    async def pieces(self) -> AsyncIterator[bytes]:
        """What was written, a piece for each write."""
        while await self._wait():
            piece = self._pieces.popleft()
            self.buffered -= len(piece)
            self._taken.set()
            yield piece

    async def chunks(self) -> AsyncIterator[bytes]:
        """What was written, each time all that waits."""
        while await self._wait():
            chunk = b"".join(self._pieces)
            self._pieces.clear()
            self.buffered = 0
            self._taken.set()
            yield chunk

    async def _wait(self) -> bool:
        """Until there is something to read; False at the end."""
        while not self._pieces and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        return bool(self._pieces)
