"""A `Transport` into an API server of the same process: no sockets, no HTTP, the same bytes.

Scheduler and controllers that share a process with their API server use it, and simulations, where
virtual time and real sockets do not mix. The caller's identity is fixed when it is made.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.request.authn import User
from podling.controlplane.apiserver.request.messages import ApiRequest, ApiResponse, Stream
from podling.kube.transport import HttpRequest, HttpResponse, TransportError

HIGH_WATER = 1 << 20
"""Bytes that may wait for the reader before the writer of a long answer waits."""


class InProcessTransport:
    """Implements podling.kube.transport.Transport."""

    def __init__(self, handle: Callable[[ApiRequest], Awaitable[ApiResponse]], user: User) -> None:
        """`handle` is the API server's REST function; `user` is who asks through here."""
        self._handle = handle
        self._user = user
        self._tasks = TaskSet("inprocess-transport")
        self._closed = False

    async def request(self, request: HttpRequest, *, timeout: float) -> HttpResponse:
        try:
            async with asyncio.timeout(timeout):
                response = await self._ask(request)
                body = response.body
                if response.stream is not None:
                    body = await self._read_whole(response.stream)
        except TimeoutError:
            raise TransportError(f"no answer within {timeout:g} s") from None
        return HttpResponse(response.status, _headers(response), body)

    async def stream(self, request: HttpRequest, *, timeout: float) -> "InProcessStream":
        try:
            async with asyncio.timeout(timeout):
                response = await self._ask(request)
        except TimeoutError:
            raise TransportError(f"no answer within {timeout:g} s") from None
        pipe = _Pipe()
        if response.stream is None:
            pipe.write(response.body)
            pipe.end()
            return InProcessStream(response, pipe, None)
        work = self._tasks.spawn(_fill(pipe, response.stream), name=request.path)
        return InProcessStream(response, pipe, work)

    async def close(self) -> None:
        self._closed = True
        await self._tasks.close()

    async def _ask(self, request: HttpRequest) -> ApiResponse:
        if self._closed:
            raise TransportError("the transport is closed")
        return await self._handle(
            ApiRequest(
                request.method,
                request.path,
                request.query,
                {name.lower(): value for name, value in request.headers.items()},
                request.body,
                self._user,
            )
        )

    async def _read_whole(self, stream: Stream) -> bytes:
        pipe = _Pipe()
        work = self._tasks.spawn(_fill(pipe, stream), name="body")
        try:
            return b"".join([piece async for piece in pipe.read()])
        finally:
            work.cancel()


class InProcessStream:
    """Implements podling.kube.transport.HttpStream."""

    def __init__(
        self, response: ApiResponse, pipe: "_Pipe", work: "asyncio.Task[None] | None"
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = _headers(response)
        self._pipe = pipe
        self._work = work

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pipe.read()

    async def close(self) -> None:
        self._pipe.end()
        if self._work is not None:
            self._work.cancel()


class _Pipe:
    """From the API server's sink to the reader; implements messages.Sink."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._broken = False
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self.buffered = 0

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
        self._broken = True
        self.end()

    def end(self) -> None:
        self._ended = True
        self._changed.set()
        self._taken.set()

    async def read(self) -> AsyncIterator[bytes]:
        """Pieces as they come, all that wait at once. Raises TransportError if it breaks."""
        while True:
            while not self._pieces and not self._ended:
                self._changed.clear()
                await self._changed.wait()
            if self._broken:
                raise TransportError("the API server broke the connection off")
            if not self._pieces:
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
            self.buffered = 0
            self._taken.set()
            yield data


async def _fill(pipe: _Pipe, stream: Stream) -> None:
    try:
        await stream(pipe)
    except BaseException:
        pipe.abort()
        raise
    pipe.end()


def _headers(response: ApiResponse) -> dict[str, str]:
    named = {name.lower(): value for name, value in response.headers.items()}
    return {"content-type": response.content_type, **named}
