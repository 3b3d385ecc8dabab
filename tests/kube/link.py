"""A cuttable way to a server."""

from podling.kube.transport import (
    HttpRequest,
    HttpResponse,
    HttpStream,
    Transport,
    TransportError,
)


class Link:
    """One client's way to a server, which can be cut without touching others'."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.down = False

    async def request(self, request: HttpRequest, *, timeout: float) -> HttpResponse:
        self._check()
        return await self._transport.request(request, timeout=timeout)

    async def stream(self, request: HttpRequest, *, timeout: float) -> HttpStream:
        self._check()
        return await self._transport.stream(request, timeout=timeout)

    async def close(self) -> None:
        await self._transport.close()

    def _check(self) -> None:
        if self.down:
            raise TransportError("cut off")
