"""Service listeners that the proxies of all nodes on this machine share, lent by the fork server.

In loopback mode a cluster IP is an address of this machine, so its port can be bound only once. All
proxies accept from that one socket; killing or pausing one of them costs a new connection nothing.
"""

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import Any

from podling.proxy.services.routing_table import Frontend

ANSWER_MAX = 4096
BACKLOG = 1024
TIMEOUT = 5.0


class SharedListeners:
    """A `ListenerSource`: asks the fork server at `path` (its protocol: `fork_server`)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def listen(self, frontend: Frontend) -> socket.socket:
        """Raises OSError, with the errno that binding gave."""
        try:
            answer, descriptors = await self._ask("listen", frontend)
        except (FileNotFoundError, ConnectionRefusedError):
            return _bind(frontend)
        if "error" in answer:
            raise OSError(answer.get("errno", 0), answer["error"])
        listener = socket.socket(fileno=descriptors[0])
        listener.setblocking(False)
        return listener

    async def release(self, frontend: Frontend) -> None:
        with contextlib.suppress(OSError):
            await self._ask("release", frontend)

    async def _ask(self, operation: str, frontend: Frontend) -> tuple[dict[str, Any], list[int]]:
        request = {"op": operation, "address": frontend.address, "port": frontend.port}
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.setblocking(False)
            async with asyncio.timeout(TIMEOUT):
                await loop.sock_connect(connection, str(self._path))
                await loop.sock_sendall(connection, json.dumps(request).encode() + b"\n")
                await _readable(connection)
            data, descriptors, _, _ = socket.recv_fds(connection, ANSWER_MAX, 1)
        answer: dict[str, Any] = json.loads(data or b'{"error": "the fork server gave no answer"}')
        return answer, descriptors


def _bind(frontend: Frontend) -> socket.socket:
    """Without a fork server: a listener of our own, beside those of the other proxies here."""
    listener = socket.create_server(frontend, backlog=BACKLOG, reuse_port=True)
    listener.setblocking(False)
    return listener


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)
