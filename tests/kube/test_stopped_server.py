"""A server process that is stopped (SIGSTOP) accepts bytes for ever, and is left all the same."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from podling.aiokit.tasks import TaskSet
from podling.kube.http_transport import HttpTransport, HttpTransportConfig
from podling.kube.transport import HttpRequest, TransportError
from tests.kube.authority import Authority
from tests.waiting import until

ESTABLISHED = "01"
"""In /proc/net/tcp."""

CONFIG = HttpTransportConfig(connect_timeout=1.0, probe_interval=0.2, probe_timeout=1.0)

PROGRAM = """
import asyncio, ssl, sys
from aiohttp import web

async def watch(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"hello")
    await asyncio.sleep(60)

async def main():
    application = web.Application()
    application.router.add_get("/readyz", lambda request: web.Response(text="ok"))
    application.router.add_post("/write", lambda request: web.Response(text="done"))
    application.router.add_get("/watch", watch)
    application.router.add_get("/never", lambda request: asyncio.sleep(60))
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[1], sys.argv[2])
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@asynccontextmanager
async def process(authority: Authority) -> AsyncIterator[tuple[str, int]]:
    """A server's address and process id."""
    certificate, key = authority.issue("server")
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        str(certificate),
        str(key),
        stdout=asyncio.subprocess.PIPE,
    )
    assert running.stdout is not None
    try:
        async with asyncio.timeout(40):
            port = int(await running.stdout.readline())
        yield f"https://127.0.0.1:{port}", running.pid
    finally:
        running.kill()
        await running.communicate()  # closes its pipe, too


@pytest.mark.parametrize("how", ["by a request", "by its silence"])
async def test_a_stopped_server_is_left_with_its_watches(tmp_path: Path, how: str) -> None:
    authority = Authority(tmp_path)
    async with process(authority) as (first, pid), process(authority) as (second, _):
        transport = HttpTransport([first, second], authority.client("me"), CONFIG)
        try:
            stream = await transport.stream(HttpRequest("GET", "/watch"), timeout=15)
            assert await anext(stream) == b"hello"
            os.kill(pid, signal.SIGSTOP)
            write = HttpRequest("POST", "/write", body=b"x")
            if how == "by a request":
                with pytest.raises(TransportError, match="no answer within"):
                    await transport.request(write, timeout=0.2)
            with pytest.raises(TransportError, match="no answer within"):
                async with asyncio.timeout(15):
                    await anext(stream)
            assert (await transport.request(write, timeout=15)).body == b"done"
            assert transport.endpoint == second
        finally:
            await transport.close()


def connections(address: str) -> int:
    """How many this machine has to that address."""
    port = f":{int(address.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum((remote[-5:], state) == (port, ESTABLISHED) for _, _, remote, state, *_ in lines)


@pytest.mark.parametrize("what", ["a watch", "a request"])
async def test_what_is_given_up_while_the_server_is_stopped_is_closed_with_the_transport(
    tmp_path: Path, what: str
) -> None:
    """A goodbye over TLS would be waited for half a minute."""
    authority = Authority(tmp_path)
    async with process(authority) as (server, pid), TaskSet("test") as tasks:
        transport = HttpTransport([server], authority.client("me"))
        if what == "a watch":
            stream = await transport.stream(HttpRequest("GET", "/watch"), timeout=15)
            assert await anext(stream) == b"hello"
            os.kill(pid, signal.SIGSTOP)
            await stream.close()
        else:
            request = transport.request(HttpRequest("GET", "/never"), timeout=15)
            asked = tasks.spawn(request, name="request")
            await until(lambda: connections(server) == 1, "the request is under way")
            os.kill(pid, signal.SIGSTOP)
            asked.cancel()
            await asyncio.wait([asked])
        await transport.close()
        await until(lambda: not connections(server), "the connection is closed", seconds=5)
