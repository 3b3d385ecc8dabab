"""Carries one TCP connection from a client to an endpoint, and back.

The client is not read before an endpoint has accepted, so that a dial can be tried again on the
next one with nothing lost. Then each side's bytes are written to the other as they come; a side
that does not read stops the other from being read (back-pressure by the transports' own limits);
an end of file is passed on and leaves the other direction open; a reset on one side aborts the
other, or sockets would pile up half-closed.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import cast

from podling.aiokit.tasks import TaskSet
from podling.proxy.services.balancer import Balancer
from podling.proxy.services.routing_table import Endpoint

log = logging.getLogger(__name__)

DIAL_SECONDS = 2.0
"""How long one endpoint may take to accept before the next is tried."""


RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""socket(7), SO_LINGER: on, zero seconds. A cut answer must not look like a whole one."""


def _reset(transport: asyncio.Transport) -> None:
    """End the connection with RST rather than FIN."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    transport.abort()


class _Side(asyncio.Protocol):
    """One of the two connections of a relay."""

    peer: "_Side | None" = None
    transport: asyncio.Transport | None = None
    _ended = False
    """Whether its end of file was seen."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        peer = self.peer
        if peer is not None and peer.transport is not None:
            peer.transport.write(data)

    def eof_received(self) -> bool:
        self._ended = True
        peer = self.peer
        if peer is None or peer.transport is None:
            return False
        if peer.transport.can_write_eof():
            peer.transport.write_eof()
        return not peer._ended  # False closes this side: both have ended

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        peer, self.peer, self.transport = self.peer, None, None
        if peer is None or peer.transport is None:
            return
        if exc is not None or not self._ended:
            _reset(peer.transport)
        else:
            peer.transport.close()  # what is buffered still goes out


class ClientSide(_Side):
    """A client's connection to a frontend; it dials an endpoint as soon as it is made."""

    def __init__(self, balancer: Balancer, dials: TaskSet, ended: "Callable[[ClientSide], None]"):
        self._balancer = balancer
        self._dials = dials
        self._ended_callback = ended
        self._dial: asyncio.Task[None] | None = None
        self._early = bytearray()
        """What came before an endpoint was there: uvloop may read once in spite of the pause."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        client = transport.get_extra_info("peername")[0]
        self._dial = self._dials.spawn(self._connect(client), name="dial")

    def data_received(self, data: bytes) -> None:
        if self.peer is None and self.transport is not None:
            self._early += data
            self.transport.pause_reading()
        else:
            super().data_received(data)

    def eof_received(self) -> bool:
        if self.peer is None:
            self._ended = True
            return True
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._dial is not None:
            self._dial.cancel()
        super().connection_lost(exc)
        self._ended_callback(self)

    def abort(self) -> None:
        if self.transport is not None:
            _reset(self.transport)

    async def _connect(self, client: str) -> None:
        loop = asyncio.get_running_loop()
        for endpoint in self._balancer.order(client, loop.time()):
            if await self._try(endpoint):
                self._balancer.connected(client, endpoint, loop.time())
                return
        log.debug("no endpoint of %s takes a connection", self._balancer.route.service)
        self.abort()

    async def _try(self, endpoint: Endpoint) -> bool:
        loop = asyncio.get_running_loop()
        upstream = _Side()
        upstream.peer = self
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                await loop.create_connection(lambda: upstream, endpoint.address, endpoint.port)
        except (OSError, TimeoutError):
            upstream.peer = None
            return False
        if self.transport is None:  # the client has gone meanwhile
            if upstream.transport is not None:
                upstream.transport.abort()
            return True
        self._join(upstream)
        return True

    def _join(self, upstream: _Side) -> None:
        self.peer = upstream
        assert self.transport is not None
        if upstream.transport is not None:
            upstream.transport.write(bytes(self._early))
            if self._ended:
                upstream.transport.write_eof()
        self._early.clear()
        self.transport.resume_reading()
