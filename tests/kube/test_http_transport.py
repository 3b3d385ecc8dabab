"""HttpTransport against real sockets: a small aiohttp server, with and without TLS."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from podling.aiokit.tasks import TaskSet
from podling.kube.http_transport import HttpTransport, HttpTransportConfig
from podling.kube.transport import HttpRequest, TransportError
from tests.kube.authority import Authority
from tests.waiting import until

CONFIG = HttpTransportConfig(connect_timeout=0.3, probe_interval=0.1, probe_timeout=0.2)
GET = HttpRequest("GET", "/echo")
POST = HttpRequest("POST", "/echo", body=b"{}")
WATCH = HttpRequest("GET", "/watch")
GONE = "http://127.0.0.1:1"
"""Where nobody listens, ever: no port 1 is given to who asks for any."""


class Server:
    """Answers /echo and /watch; can freeze (accept bytes, answer nothing), refuse and break."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.url = ""
        self.frozen = asyncio.Event()
        self.ready = True
        self.break_next = False
        self.calls: list[str] = []
        self.peers: set[object] = set()
        self.open_streams = 0
        self._feeds: list[asyncio.Queue[bytes]] = []

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/echo", self._echo)
        application.router.add_get("/watch", self._watch)
        application.router.add_get("/readyz", self._echo)
        return application

    def tell(self, piece: bytes) -> None:
        for feed in self._feeds:
            feed.put_nowait(piece)

    async def _echo(self, request: web.Request) -> web.Response:
        self.calls.append(f"{request.method} {request.path_qs}")
        self.peers.add(request.transport.get_extra_info("peername") if request.transport else None)
        if self.frozen.is_set():
            await asyncio.sleep(30)
        if self.break_next and request.transport is not None:
            self.break_next = False
            request.transport.abort()
        if not self.ready:
            return web.Response(status=503, text="not ready")
        peer = request.get_extra_info("peercert") or {}
        return web.json_response(
            {"server": self.name, "peer": str(peer.get("subject", "")), "q": dict(request.query)}
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        feed: asyncio.Queue[bytes] = asyncio.Queue()
        self._feeds.append(feed)
        self.open_streams += 1
        try:
            while piece := await feed.get():
                await response.write(piece)
        finally:
            self.open_streams -= 1
        return response


@asynccontextmanager
async def serving(name: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(name)
    runner = web.AppRunner(
        server.application(), handler_cancellation=True, shutdown_timeout=0.1, access_log=None
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(
    *servers: Server | str, tls: ssl.SSLContext | None = None, config: HttpTransportConfig = CONFIG
) -> AsyncIterator[HttpTransport]:
    urls = [server if isinstance(server, str) else server.url for server in servers]
    transport = HttpTransport(urls, tls, config)
    try:
        yield transport
    finally:
        await transport.close()


async def ask(transport: HttpTransport, request: HttpRequest = GET, timeout: float = 15) -> str:
    response = await transport.request(request, timeout=timeout)
    assert response.status == 200
    return response.body.decode()


async def test_it_carries_method_query_and_body_and_keeps_its_connection() -> None:
    async with serving("a") as server, talking(server) as transport:
        request = HttpRequest("GET", "/echo", {"labelSelector": "a in (b,c)&d"})
        assert '"a in (b,c)&d"' in await ask(transport, request)
        await ask(transport, POST)
        assert len(server.peers) == 1


async def test_a_stream_gives_pieces_as_they_come_and_ends_when_the_server_ends_it() -> None:
    async with serving("a") as server, talking(server) as transport:
        stream = await transport.stream(WATCH, timeout=15)
        assert stream.status == 200
        pieces = aiter(stream)
        server.tell(b"one\n")
        assert await anext(pieces) == b"one\n"
        server.tell(b"two\n")
        assert await anext(pieces) == b"two\n"
        server.tell(b"")
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)
        await stream.close()


async def test_closing_a_stream_ends_it_on_the_server() -> None:
    async with serving("a") as server, talking(server) as transport:
        stream = await transport.stream(WATCH, timeout=15)
        await until(lambda: server.open_streams == 1, "the stream is open")
        await stream.close()
        await until(lambda: server.open_streams == 0, "the server saw the end")


async def test_an_answer_of_any_status_is_an_answer() -> None:
    async with serving("a") as server, talking(server) as transport:
        response = await transport.request(HttpRequest("GET", "/nothing"), timeout=15)
        assert response.status == 404
        server.ready = False
        assert (await transport.request(GET, timeout=15)).status == 503


async def test_it_sticks_to_one_server() -> None:
    async with serving("a") as a, serving("b") as b, talking(a, b) as transport:
        for _ in range(3):
            assert '"a"' in await ask(transport)
        assert not b.calls


async def test_a_write_moves_on_from_a_server_that_cannot_be_connected_to() -> None:
    async with serving("b") as b, talking(GONE, b) as transport:
        assert '"b"' in await ask(transport, POST)
        assert transport.endpoint == b.url


async def test_a_server_that_accepts_and_says_nothing_fails_one_request_and_loses_all_streams() -> (
    None
):
    async with serving("a") as a, serving("b") as b, talking(a, b) as transport:
        stream = await transport.stream(WATCH, timeout=15)
        a.frozen.set()
        with pytest.raises(TransportError, match="no answer within"):
            await transport.request(POST, timeout=0.05)
        with pytest.raises(TransportError, match="no answer within"):
            await anext(aiter(stream))
        assert '"b"' in await ask(transport, POST)


async def test_a_listener_that_never_shakes_hands_is_left(tmp_path: Path) -> None:
    """As a stopped process: the kernel completes the connection, nobody speaks TLS."""
    authority = Authority(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with (
            serving("b", authority.server()) as b,
            talking(
                f"https://127.0.0.1:{silent.getsockname()[1]}", b, tls=authority.client("me")
            ) as transport,
        ):
            assert '"b"' in await ask(transport, POST)


async def test_a_server_without_an_answer_to_a_probe_loses_its_idle_watches() -> None:
    async with serving("a") as a, serving("b") as b, talking(a, b) as transport:
        stream = await transport.stream(WATCH, timeout=15)
        await until(lambda: "GET /readyz" in a.calls, "the silent server is asked")
        a.frozen.set()
        with pytest.raises(TransportError):
            async with asyncio.timeout(15):
                await anext(aiter(stream))
        assert transport.endpoint == b.url


async def test_a_read_whose_connection_breaks_is_asked_again() -> None:
    async with serving("a") as a, talking(a) as transport:
        a.break_next = True
        assert '"a"' in await ask(transport)
        assert len(a.calls) == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_write_whose_connection_breaks_is_never_repeated(method: str) -> None:
    async with serving("a") as a, talking(a) as transport:
        await ask(transport)
        a.break_next = True
        with pytest.raises(TransportError):
            await transport.request(HttpRequest(method, "/echo", body=b"{}"), timeout=15)
        assert a.calls == ["GET /echo", f"{method} /echo"]


async def test_a_server_that_is_not_ready_is_left_for_one_that_is() -> None:
    async with serving("a") as a, serving("b") as b, talking(a, b) as transport:
        stream = await transport.stream(WATCH, timeout=15)
        a.ready = False
        assert '"b"' in await ask(transport)
        with pytest.raises(TransportError, match="503"):
            await anext(aiter(stream))
        assert transport.endpoint == b.url


async def test_if_no_server_is_ready_it_stays_and_keeps_its_streams() -> None:
    async with serving("a") as a, serving("b") as b, talking(a, b) as transport:
        stream = await transport.stream(WATCH, timeout=15)
        a.ready = b.ready = False
        assert (await transport.request(GET, timeout=15)).status == 503
        a.tell(b"still here")
        assert await anext(aiter(stream)) == b"still here"


async def test_a_cancelled_request_leaves_nothing_behind() -> None:
    async with serving("a") as a, talking(a) as transport, TaskSet("test") as tasks:
        a.frozen.set()
        request = tasks.spawn(transport.request(GET, timeout=30), name="request")
        await until(lambda: a.calls, "the request is under way")
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        a.frozen.clear()
        assert '"a"' in await ask(transport)


async def test_nobody_listening_is_an_error_that_names_the_server() -> None:
    async with talking(GONE) as transport:
        with pytest.raises(TransportError, match=GONE.removeprefix("http://")):
            await transport.request(GET, timeout=15)


async def test_a_closed_transport_says_so_and_no_endpoint_is_refused() -> None:
    async with serving("a") as a, talking(a) as transport:
        stream = await transport.stream(WATCH, timeout=15)
        await transport.close()
        with pytest.raises(TransportError, match="closed"):
            await anext(aiter(stream))
        with pytest.raises(TransportError, match="closed"):
            await transport.request(GET, timeout=15)
    with pytest.raises(ValueError, match="no API server"):
        HttpTransport([], None)


async def test_client_certificates_identify_and_strange_authorities_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "asyncio")
    authority = Authority(tmp_path)
    async with serving("a", authority.server()) as server:
        async with talking(server, tls=authority.client("kubelet-1")) as transport:
            assert "kubelet-1" in await ask(transport)
        async with talking(server, tls=ssl.create_default_context()) as transport:
            with pytest.raises(TransportError, match="certificate verify failed"):
                await transport.request(GET, timeout=15)


async def test_servers_that_have_never_answered_are_told_of_once_and_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with talking(GONE, GONE.replace("0.1", "0.2")) as transport:
        for _ in range(3):
            with pytest.raises(TransportError):
                await transport.request(GET, timeout=15)
    told = [each for each in caplog.records if "leaving API server" in each.getMessage()]
    assert [each.levelname for each in told] == ["INFO", "INFO"]
