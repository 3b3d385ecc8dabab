"""A `Transport` into an API server of the same process: no sockets, no HTTP, the same bytes.

Scheduler and controllers that share a process with their API server use it, and simulations, where
virtual time and real sockets do not mix. The caller's identity is fixed when it is made.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.request.authn import User
from podling.controlplane.apiserver.request.messages import ApiRequest, ApiResponse, Stream
from podling.controlplane.apiserver.rest.pipe import Pipe
from podling.kube.transport import HttpRequest, HttpResponse, TransportError


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
        pipe = Pipe()
        if response.stream is None:
            pipe.write(response.body)
            pipe.end()
            return InProcessStream(response, pipe, None)
        work = self._tasks.spawn(pipe.fill(response.stream), name=request.path)
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
        pipe = Pipe()
        work = self._tasks.spawn(pipe.fill(stream), name="body")
        try:
            return b"".join([piece async for piece in _read(pipe)])
        finally:
            work.cancel()


class InProcessStream:
    """Implements podling.kube.transport.HttpStream."""

    def __init__(
        self, response: ApiResponse, pipe: Pipe, work: "asyncio.Task[None] | None"
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = _headers(response)
        self._pipe = pipe
        self._work = work

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _read(self._pipe)

    async def close(self) -> None:
        self._pipe.end()
        if self._work is not None:
            self._work.cancel()


async def _read(pipe: Pipe) -> AsyncIterator[bytes]:
    """Pieces as they come. Raises TransportError if the answer breaks off."""
    async for chunk in pipe.chunks():
        yield chunk
    if pipe.broken:
        raise TransportError("the API server broke the connection off")


def _headers(response: ApiResponse) -> dict[str, str]:
    named = {name.lower(): value for name, value in response.headers.items()}
    return {"content-type": response.content_type, **named}
