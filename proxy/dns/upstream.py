"""Asks other DNS servers what is not of the cluster's zone: bytes in, bytes out."""

import asyncio
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import cast

ASK_SECONDS = 2.0
"""How long one server may take before the next is asked."""
IN_FLIGHT_MAX = 1000
PORT = 53


class UpstreamError(Exception):
    """No server gave an answer."""


def servers_of(resolver_file: Path) -> tuple[str, ...]:
    """The name servers of a resolv.conf(5); none if there is no such file."""
    try:
        lines = resolver_file.read_text().splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    named = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
    return tuple(address for address in named if _is_address(address))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class Upstream:
    """Forwards queries over UDP, one server after the other."""

    def __init__(self, servers: Sequence[str], port: int = PORT) -> None:
        self._servers = servers
        self._port = port
        self._places = asyncio.Semaphore(IN_FLIGHT_MAX)

    async def ask(self, query: bytes) -> bytes:
        """The first answer to `query`; raises UpstreamError."""
        if self._places.locked():
            raise UpstreamError("too many queries in flight")
        async with self._places:
            for server in self._servers:
                try:
                    async with asyncio.timeout(ASK_SECONDS):
                        return await self._ask(server, query)
                except (OSError, TimeoutError):
                    continue
        raise UpstreamError(f"none of {', '.join(self._servers) or 'no servers'} answers")

    async def _ask(self, server: str, query: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            lambda: _OneAnswer(query, loop.create_future()), remote_addr=(server, self._port)
        )
        try:
            return await protocol.answer
        finally:
            transport.close()


class _OneAnswer(asyncio.DatagramProtocol):
    """Sends one query and takes the answer with its id."""

    def __init__(self, query: bytes, answer: "asyncio.Future[bytes]") -> None:
        self._query = query
        self.answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.DatagramTransport, transport).sendto(self._query)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data[:2] == self._query[:2] and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)
