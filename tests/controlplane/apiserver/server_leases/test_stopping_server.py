"""A whole server that stops is no address any more before it closes. Real sockets."""

import asyncio
from pathlib import Path

from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.server_leases import lease_keys
from tests.controlplane.apiserver.api import PATIENCE
from tests.controlplane.apiserver.server import HOST, Certificates, running_server

KEYS = lease_keys.PREFIX, lease_keys.END
UNFINISHED = (
    b"POST /api/v1/namespaces HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
)


async def test_requests_are_finished_after_the_server_has_withdrawn(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    context = certificates.client_context("admin")
    async with running_server(certificates, drain_seconds=60) as running, TaskSet("test") as tasks:
        port = running.server.http.port
        reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
        try:
            writer.write(UNFINISHED)
            assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n"), "it is at work"
            stopping = tasks.spawn(running.server.stop(), name="stop")
            async with asyncio.timeout(PATIENCE):
                while (await running.storage.list(*KEYS)).kvs:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            assert not reader.at_eof() and not stopping.done(), "the request goes on"
        finally:
            writer.close()
        async with asyncio.timeout(PATIENCE):
            await stopping
