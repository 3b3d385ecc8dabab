"""The HTTPS face: identities, bounds, streams, stopping. Real sockets."""

import asyncio
import io
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import orjson
import pytest
from aiohttp import web

from podling.aiokit.clock import system_wall_clock
from podling.launcher.certificates import Authority, Subject
from tests.controlplane.apiserver.api import CONFIG_MAPS, PATIENCE, PODS, config_map, pod
from tests.controlplane.apiserver.server import HOST, Certificates, Server, running_server
from tests.waiting import until


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
async def server(certificates: Certificates) -> AsyncIterator[Server]:
    async with running_server(certificates) as running:
        yield running


def session(server: Server, user: str = "admin") -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=server.certificates.client_context(user))
    return aiohttp.ClientSession(server.url, connector=connector)


@pytest.fixture
async def admin(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with session(server) as client:
        yield client


async def test_a_certificate_says_who_is_asking(server: Server) -> None:
    for user, status in (("admin", 200), ("nobody", 403), ("", 403)):
        async with session(server, user) as client, client.get(CONFIG_MAPS) as answer:
            body = await answer.json()
            assert answer.status == status, body
    assert body["reason"] == "Forbidden"
    assert 'User "system:anonymous" cannot list resource "configmaps"' in body["message"]


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/version"])
async def test_anybody_may_ask_for_health_and_version(server: Server, path: str) -> None:
    async with session(server, "") as client, client.get(path) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/metrics", "/api", "/apis", "/openapi/v3", "/nonsense"])
async def test_anybody_may_ask_for_nothing_else(server: Server, path: str) -> None:
    async with session(server, "") as client, client.get(path) as answer:
        assert answer.status == 403


async def test_a_certificate_of_another_authority_is_refused(
    server: Server, tmp_path: Path
) -> None:
    foreign = Authority.create("another", system_wall_clock)
    pem = tmp_path / "foreign.crt", tmp_path / "foreign.key"
    foreign.issue(Subject("kubernetes-admin", ("system:masters",)), *pem)
    context = server.certificates.client_context()
    context.load_cert_chain(*pem)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as client:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await client.get(server.url + "/version")


async def test_a_body_that_is_too_large_is_refused(admin: aiohttp.ClientSession) -> None:
    async with admin.post(CONFIG_MAPS, data=io.BytesIO(b" " * (4 << 20))) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (413, "RequestEntityTooLarge")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * (64 << 10)

    async with admin.post(CONFIG_MAPS, data=endless()) as answer:
        assert answer.status == 413


async def test_a_client_may_ask_before_it_sends(admin: aiohttp.ClientSession) -> None:
    async with admin.post(CONFIG_MAPS, json=config_map("a"), expect100=True) as answer:
        assert answer.status == 201


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("//api/v1//namespaces/def%61ult/configmaps/", 200),
        ("/api/v1/namespaces/%2e%2e/configmaps/%ff", 404),
        ("/api/v1/namespaces/default/configmaps?limit=1&limit=x&&a=%zz", 200),
        ("https://elsewhere/version", 200),
        ("/version#x", 200),
        ("*", 400),
        ("", 400),
    ],
)
async def test_a_strange_request_line_is_answered(server: Server, target: str, status: int) -> None:
    reader, writer = await asyncio.open_connection(
        HOST, server.server.http.port, ssl=server.certificates.client_context("admin")
    )
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            head = await reader.readline()
        assert int(head.split()[1]) == status
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_watch_is_told_at_once_and_ends_in_chunks(
    server: Server, admin: aiohttp.ClientSession
) -> None:
    query = {"watch": "1", "resourceVersion": "1", "timeoutSeconds": "1"}
    async with admin.get(CONFIG_MAPS, params=query) as watch:
        assert watch.status == 200
        assert watch.headers["Transfer-Encoding"] == "chunked"
        async with admin.post(CONFIG_MAPS, json=config_map("a")) as answer:
            assert answer.status == 201
        async with asyncio.timeout(PATIENCE):
            event = orjson.loads(await watch.content.readline())
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
            assert await watch.content.read() == b""


async def test_a_watcher_that_goes_away_is_forgotten(
    server: Server, admin: aiohttp.ClientSession
) -> None:
    watch = await admin.get(CONFIG_MAPS, params={"watch": "1"})
    cache = server.server.core.cache
    await until(lambda: cache.watch_count() == 1, "the watch is known")
    watch.close()
    await until(lambda: cache.watch_count() == 0, "the watch is forgotten")


async def test_a_long_list_arrives_whole(admin: aiohttp.ClientSession) -> None:
    for number in range(30):
        body = config_map(f"c{number}", {"k": "v" * 100_000})
        async with admin.post(CONFIG_MAPS, json=body) as answer:
            assert answer.status == 201
    async with admin.get(CONFIG_MAPS) as answer:
        assert len((await answer.json())["items"]) == 30


async def test_stopping_ends_watches_cleanly_and_frees_the_port(
    certificates: Certificates,
) -> None:
    async with running_server(certificates) as server, session(server) as client:
        port = server.server.http.port
        watch = await client.get(CONFIG_MAPS, params={"watch": "1"})
        stopping = asyncio.ensure_future(server.server.stop())  # noqa: TID251
        async with asyncio.timeout(PATIENCE):
            assert await watch.content.read() == b""
            await stopping
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind((HOST, port))


async def test_servers_share_an_inherited_listener(certificates: Certificates) -> None:
    with socket.socket() as shared:
        shared.bind((HOST, 0))
        shared.listen()
        url = f"https://{HOST}:{shared.getsockname()[1]}/version"
        fds = os.dup(shared.fileno()), os.dup(shared.fileno())
        connector = aiohttp.TCPConnector(ssl=certificates.client_context(), force_close=True)
        async with (
            running_server(certificates, fds[0]) as one,
            aiohttp.ClientSession(connector=connector) as client,
        ):
            async with running_server(certificates, fds[1]):
                for _ in range(4):
                    async with client.get(url) as answer:
                        assert answer.status == 200
            for _ in range(4):
                async with client.get(url) as answer:
                    assert answer.status == 200
            assert one.server.http.port != shared.getsockname()[1]


async def test_a_port_in_use_is_named(certificates: Certificates, server: Server) -> None:
    taken = server.server.http.port
    config = server.server.http._config
    second = type(server.server.http)(
        type(config)(tls=config.tls, address=HOST, port=taken), server.server.core.face.handle
    )
    with pytest.raises(OSError, match=f"cannot listen on {HOST}:{taken}"):
        await second.start()
    await second.stop()


async def test_a_log_is_followed_through_to_the_node(
    certificates: Certificates, server: Server, admin: aiohttp.ClientSession
) -> None:
    more = asyncio.Event()
    left = asyncio.Event()

    async def logs(request: web.Request) -> web.StreamResponse:
        assert request.path == "/containerLogs/default/a/main"
        assert request.query["follow"] == "true"
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"first\n")
        await more.wait()
        await answer.write(b"second\n")
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            left.set()
        return answer

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=certificates.server_context("kubelet"))
    await site.start()
    port = runner.addresses[0][1]
    try:
        await _bind_to_node(admin, port)
        async with asyncio.timeout(PATIENCE):
            log = await admin.get(f"{PODS}/a/log", params={"follow": "true"})
            assert log.headers["Content-Type"] == "text/plain"
            assert await log.content.readline() == b"first\n"
            more.set()
            assert await log.content.readline() == b"second\n"
            log.close()
            await left.wait()
    finally:
        await runner.cleanup()


async def _bind_to_node(admin: aiohttp.ClientSession, port: int) -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": HOST}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    node = {"metadata": {"name": "node-1"}, "status": status}
    for url, body in (
        ("/api/v1/nodes", node),
        (PODS, pod("a")),
        (f"{PODS}/a/binding", {"target": {"name": "node-1"}}),
    ):
        async with admin.post(url, json=body) as answer:
            assert answer.status == 201, await answer.text()
    headers = {"Content-Type": "application/merge-patch+json"}
    patch = orjson.dumps({"status": status})
    async with admin.patch("/api/v1/nodes/node-1/status", data=patch, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
