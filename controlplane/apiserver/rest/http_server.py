"""The REST function over HTTPS: a thin adapter around aiohttp.

It identifies the caller by the TLS layer's client certificate, reads the body within bounds, and
writes the answer. A stream's pieces go to the transport at once, as one chunk each, so that one
event reaches a thousand watchers without a thousand tasks. When the peer goes, the task that works
for it is cancelled.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from podling.controlplane.apiserver.request import authn, bodies
from podling.controlplane.apiserver.request.messages import ApiRequest, ApiResponse
from podling.controlplane.apiserver.rest.face import error_response
from podling.kube import errors

log = logging.getLogger(__name__)

KEEP_ALIVE = 120.0
"""Seconds an idle connection is kept: longer than Go's clients keep theirs (90)."""

BACKLOG = 1024
"""Connections that wait to be accepted; on a shared listener, also while every server is away."""

Handle = Callable[[ApiRequest], Awaitable[ApiResponse]]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files."""

    certificate: str
    key: str
    client_ca: str
    """Signs the certificates of clients."""


@dataclass(frozen=True, slots=True)
class HttpServerConfig:
    """Where to listen."""

    tls: TlsFiles | None
    """None: plain HTTP, every caller anonymous."""
    address: str = ""
    """This server's own address; empty for none."""
    port: int = 0
    """0: a free one."""
    listener_fd: int | None = None
    """A listening socket that was inherited, which other servers listen on too."""
    drain_seconds: float = 5.0
    """How long requests may take to finish when the server stops."""


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Asks clients for a certificate, and serves those that have none too. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(files.client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


class HttpServer:
    """Component: serves from `start` to `stop`."""

    name = "apiserver-http"

    def __init__(self, config: HttpServerConfig, handle: Handle) -> None:
        self._config = config
        self._handle = handle
        self._runner: web.ServerRunner | None = None
        self.port = 0
        """Of the own address, once started."""

    async def start(self) -> None:
        """Raises OSError if an address is in use or a file cannot be read."""
        config = self._config
        server = web.Server(
            self._serve,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=config.drain_seconds)
        await self._runner.setup()
        context = server_context(config.tls) if config.tls else None
        if config.listener_fd is not None:
            shared = socket.socket(fileno=config.listener_fd)
            shared.setblocking(False)
            await self._listen_on(shared, context)
        if config.address:
            own = _listen(config.address, config.port)
            self.port = own.getsockname()[1]
            await self._listen_on(own, context)

    async def _listen_on(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        assert self._runner is not None
        site = web.SockSite(self._runner, listener, ssl_context=context, backlog=BACKLOG)
        await site.start()

    async def stop(self) -> None:
        """Take no more connections, let requests finish, close the rest."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            asked = await self._read(request)
        except errors.ApiError as error:
            # What is left of the body has not been read, so the connection cannot go on.
            answer = _whole(error_response(error))
            answer.force_close()
            return answer
        response = await self._handle(asked)
        if response.stream is None:
            return _whole(response)
        return await _stream(request, response)

    async def _read(self, request: web.BaseRequest) -> ApiRequest:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport else None
        query: dict[str, str] = {}
        for name, value in request.query.items():
            query.setdefault(name, value)
        return ApiRequest(
            method=request.method,
            path=request.rel_url.raw_path,
            query=query,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await _body(request),
            user=authn.identify(certificate),
        )


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno, f"cannot listen on {address}:{port}: {error.strerror}"
        ) from error
    listener.setblocking(False)
    return listener


async def _body(request: web.BaseRequest) -> bytes:
    """Raises errors.RequestEntityTooLarge, or errors.BadRequest if the body ends early."""
    if not request.can_read_body:
        return b""
    if (request.content_length or 0) > bodies.MAX_BODY:
        raise errors.RequestEntityTooLarge(limit=bodies.MAX_BODY)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    try:
        async for piece in request.content.iter_any():
            body += piece
            if len(body) > bodies.MAX_BODY:
                raise errors.RequestEntityTooLarge(limit=bodies.MAX_BODY)
    except web.RequestPayloadError as error:
        raise errors.BadRequest(f"the body of the request broke off: {error}") from error
    return bytes(body)


def _whole(response: ApiResponse) -> web.Response:
    headers = {"Content-Type": response.content_type, **response.headers}
    return web.Response(status=response.status, headers=headers, body=response.body)


async def _stream(request: web.BaseRequest, response: ApiResponse) -> web.StreamResponse:
    assert response.stream is not None
    headers = {"Content-Type": response.content_type, **response.headers}
    answer = web.StreamResponse(status=response.status, headers=headers)
    if request.version >= (1, 1):
        answer.enable_chunked_encoding()
    else:
        answer.force_close()
    await answer.prepare(request)
    if request.method == "HEAD" or request.transport is None:
        return answer
    # Clients wait for the head of the answer, which aiohttp would send with the first event.
    request.writer.send_headers()
    sink = _TransportSink(request, request.transport, chunked=request.version >= (1, 1))
    await response.stream(sink)
    if not sink.aborted:
        await answer.write_eof()
    return answer


class _TransportSink:
    """Implements messages.Sink on a connection."""

    def __init__(
        self, request: web.BaseRequest, transport: asyncio.Transport, *, chunked: bool
    ) -> None:
        self._request = request
        self._transport = transport
        self._chunked = chunked
        self.aborted = False

    @property
    def buffered(self) -> int:
        return self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        if not data or self._transport.is_closing():
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    async def drain(self) -> None:
        await self._request.writer.drain()

    def abort(self) -> None:
        self.aborted = True
        self._transport.abort()
