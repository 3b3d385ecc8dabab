"""HTTPS to one of several equal API servers, over aiohttp.

It sticks to one server and leaves it, for the next in the ring, when the server

* cannot be connected to: the request goes to the next one, whatever its method;
* does not answer a request in time. A stopped process accepts bytes for ever, so this is the only
  sign it gives. The request fails (it may yet be carried out), and everything else open on that
  server is aborted with it: watches resume elsewhere;
* breaks a connection: a GET goes to the next one, a write fails, because it may have happened;
* answers a GET with 503 while another one answers it properly: it is leaving, or cut off.

As an idle watch sends nothing, a server that still has streams is asked for `/readyz` whenever
nothing has come from it for `probe_interval`.

With a single endpoint "the next" is the same address on new connections: behind one listener
shared by several servers that is another server.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, Self, TypeVar
from urllib.parse import urlencode

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from podling.aiokit.tasks import TaskSet
from podling.kube.transport import HttpRequest, HttpResponse, TransportError

log = logging.getLogger(__name__)

PROBE: Final = HttpRequest("GET", "/readyz", headers={"Accept": "*/*"})

_REFUSED: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
)
"""Nothing was sent, so that even a write may be tried elsewhere."""

_BROKEN: Final = (aiohttp.ClientError, OSError, RuntimeError)
"""aiohttp raises RuntimeError for a request on a session that was closed meanwhile."""


@dataclass(frozen=True, slots=True)
class HttpTransportConfig:
    """All times in seconds."""

    connect_timeout: float = 2.0
    """For TCP and TLS together."""
    keep_alive: float = 60.0
    """How long an unused connection is kept."""
    probe_interval: float = 1.0
    """Silence of a server with open streams after which it is asked whether it is there."""
    probe_timeout: float = 1.5
    server_name: str = ""
    """Expected in the server's certificate; empty: the endpoint's host."""
    token: str = field(default="", repr=False)
    """Bearer token that says who is asking, where no client certificate does."""


class _Connection(ResponseHandler):
    """What is not needed any more ends at once. Over TLS aiohttp would say goodbye and forget it,
    and a stopped server never answers that: the socket would outlive the transport."""

    def close(self) -> None:
        self.abort()


class _Server:
    """All connections to one endpoint, from choosing it to leaving it."""

    def __init__(self, endpoint: str, tls: ssl.SSLContext | None, config: HttpTransportConfig):
        self.endpoint = endpoint
        self._server_name = config.server_name or None
        self._connector = aiohttp.TCPConnector(
            ssl=tls or False, limit=0, keepalive_timeout=config.keep_alive
        )
        connection = partial(_Connection, loop=asyncio.get_running_loop())
        self._connector._factory = connection  # type: ignore[assignment] # a partial is invariant
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=config.connect_timeout),
            headers={"Accept-Encoding": "identity"} | _authorization(config.token),
            skip_auto_headers=("User-Agent", "Content-Type"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # aiohttp would send a PUT or DELETE again whose connection broke; it may have happened.
        self._session._retry_connection = False
        self.streams: set[_Stream] = set()
        self.heard = asyncio.get_running_loop().time()
        """Loop time of the last byte that came."""
        self.answered = False

    async def send(self, request: HttpRequest) -> aiohttp.ClientResponse:
        query = f"?{urlencode(request.query)}" if request.query else ""
        return await self._session.request(
            request.method,
            URL(f"{self.endpoint}{request.path}{query}", encoded=True),
            headers=request.headers,
            data=request.body or None,
            server_hostname=self._server_name,
            allow_redirects=False,
        )

    def alive(self) -> None:
        self.answered = True
        self.heard = asyncio.get_running_loop().time()

    def abort_streams(self, why: str) -> None:
        """Whoever waits for the next piece of one gets a TransportError at once."""
        for stream in tuple(self.streams):
            stream.abort(why)

    async def close(self) -> None:
        """Abort every connection."""
        await self._connector.close()
        await self._session.close()


class _Stream:
    """One answer that is read while it is written."""

    def __init__(self, server: _Server, response: aiohttp.ClientResponse) -> None:
        self._server = server
        self._response = response
        self._aborted = ""
        server.streams.add(self)

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> dict[str, str]:
        return _headers(self._response)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._response.content.readany()
        except _BROKEN as error:
            raise self._broke(_text(error)) from error
        if piece:
            self._server.alive()
            return piece
        if self._aborted:
            raise self._broke("aborted")
        raise StopAsyncIteration

    def _broke(self, why: str) -> TransportError:
        return TransportError(f"stream from {self._server.endpoint}: {self._aborted or why}")

    async def close(self) -> None:
        self._server.streams.discard(self)
        self._response.close()

    def abort(self, why: str) -> None:
        self._aborted = why
        self._server.streams.discard(self)
        self._response.close()


class _Answer(Protocol):
    @property
    def status(self) -> int: ...


_A = TypeVar("_A", bound=_Answer)
_Finish = Callable[[_Server, aiohttp.ClientResponse], Awaitable[_A]]


class HttpTransport:
    """A `Transport` to any of `endpoints`, such as `https://127.1.255.1:6443`."""

    def __init__(
        self,
        endpoints: Sequence[str],
        tls: ssl.SSLContext | None,
        config: HttpTransportConfig | None = None,
    ) -> None:
        """`tls` carries the authority to trust and the client's certificate; None for http."""
        if not endpoints:
            raise ValueError("no API server to talk to: the list of endpoints is empty")
        self._endpoints = tuple(endpoint.rstrip("/") for endpoint in endpoints)
        self._tls = tls
        self._config = config or HttpTransportConfig()
        self._chosen = 0
        self._server: _Server | None = None
        self._complained: set[str] = set()
        """Endpoints of which it was said, since the last answer, that they were left."""
        #: Servers that were left and whose connections are being aborted.
        self._left: set[_Server] = set()
        self._comparing = False
        self._closed = False
        self._prober: asyncio.Task[None] | None = None
        self._tasks = TaskSet("http-transport")

    @property
    def endpoint(self) -> str:
        """The server in use, or to be used next."""
        return self._endpoints[self._chosen]

    async def request(self, request: HttpRequest, *, timeout: float) -> HttpResponse:
        return await self._deliver(request, timeout, _read)

    async def stream(self, request: HttpRequest, *, timeout: float) -> _Stream:
        stream = await self._deliver(request, timeout, _open_stream)
        if self._prober is None or self._prober.done():
            self._prober = self._tasks.spawn(self._probe(), name="probe")
        return stream

    async def close(self) -> None:
        self._closed = True
        await self._tasks.close()
        if self._server is not None:
            self._left.add(self._server)
            self._server.abort_streams("closed")
            self._server = None
        while self._left:
            await self._left.pop().close()

    async def _deliver(self, request: HttpRequest, timeout: float, finish: _Finish[_A]) -> _A:
        server = self._current()
        failure = ""
        try:
            async with asyncio.timeout(timeout):
                # Each server once, and one more time for a kept connection that was stale.
                for _ in range(len(self._endpoints) + 1):
                    server = self._current()
                    try:
                        answer = await finish(server, await server.send(request))
                    except _BROKEN as error:
                        failure = f"{server.endpoint}: {_text(error)}"
                        if isinstance(error, _REFUSED):
                            self._leave(server, _text(error))
                        elif request.method != "GET":
                            break
                    else:
                        server.alive()
                        self._complained.clear()
                        if answer.status == 503 and request.method == "GET":
                            answer = await self._compare(server, request, answer, finish)
                        return answer
        except TimeoutError:
            failure = f"{server.endpoint}: no answer within {timeout:g} s"
            self._leave(server, f"no answer within {timeout:g} s")
        raise TransportError(f"{request.method} {request.path}: {failure}")

    async def _compare(
        self, server: _Server, request: HttpRequest, answer: _A, finish: _Finish[_A]
    ) -> _A:
        """`server` says 503: see whether others say the same, and change over if one does not."""
        if self._comparing or server is not self._server:
            return answer
        self._comparing = True
        try:
            for step in range(1, len(self._endpoints)):
                better = await self._ask_other(server, step, request, finish)
                if better is not None:
                    return better
        finally:
            self._comparing = False
        return answer

    async def _ask_other(
        self, server: _Server, step: int, request: HttpRequest, finish: _Finish[_A]
    ) -> _A | None:
        """The answer of the one `step` further on, which is then used, or None for a 503 too."""
        chosen = (self._chosen + step) % len(self._endpoints)
        other = self._open(chosen)
        try:
            async with asyncio.timeout(self._config.probe_timeout):
                answer = await finish(other, await other.send(request))
            if answer.status == 503 or server is not self._server:
                return None
            self._leave(server, f"answers 503 while {other.endpoint} serves")
            self._chosen, self._server = chosen, other
            return answer
        except (TimeoutError, *_BROKEN):
            return None
        finally:
            if other is not self._server:
                await other.close()

    async def _probe(self) -> None:
        """Ask a silent server whether it is there, as long as it has streams."""
        loop = asyncio.get_running_loop()
        while (server := self._server) is not None and server.streams:
            quiet = loop.time() - server.heard
            if quiet < self._config.probe_interval:
                await asyncio.sleep(self._config.probe_interval - quiet)
                continue
            try:
                await self.request(PROBE, timeout=self._config.probe_timeout)
            except TransportError as error:
                # The request has drawn the consequences already.
                log.info("API server did not answer a probe: %s", error)

    def _current(self) -> _Server:
        if self._closed:
            raise TransportError("the transport is closed")
        if self._server is None:
            self._server = self._open(self._chosen)
        return self._server

    def _open(self, chosen: int) -> _Server:
        return _Server(self._endpoints[chosen], self._tls, self._config)

    def _leave(self, server: _Server, why: str) -> None:
        """Abort all that is open on `server` and use the next one from now on."""
        if server is not self._server:
            return
        self._server = None
        self._chosen = (self._chosen + 1) % len(self._endpoints)
        if server.endpoint not in self._complained:
            self._complained.add(server.endpoint)
            # One that has never answered may only be starting.
            level = logging.WARNING if server.answered else logging.INFO
            log.log(level, "leaving API server %s for %s: %s", server.endpoint, self.endpoint, why)
        server.abort_streams(why)
        self._left.add(server)
        self._tasks.spawn(self._discard(server), name=f"leave {server.endpoint}")

    async def _discard(self, server: _Server) -> None:
        await server.close()
        self._left.discard(server)


async def _read(_: _Server, response: aiohttp.ClientResponse) -> HttpResponse:
    async with response:
        return HttpResponse(response.status, _headers(response), await response.read())


async def _open_stream(server: _Server, response: aiohttp.ClientResponse) -> _Stream:
    return _Stream(server, response)


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
