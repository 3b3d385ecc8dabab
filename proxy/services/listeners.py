"""Makes the open sockets equal the routing table."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Protocol

from podling.aiokit.tasks import TaskSet
from podling.proxy.services.balancer import Balancer
from podling.proxy.services.routing_table import Frontend, Route, Table, changes
from podling.proxy.services.tcp_relay import ClientSide

log = logging.getLogger(__name__)

BACKLOG = 1024
PRIVILEGED_BELOW = 1024
HIGH_PORT_OFFSET = 10_000
"""Where a port below 1024 may not be bound, port 80 is served at 10080 as well."""


class ListenerSource(Protocol):
    """Where listening sockets come from: bound here, or shared by the nodes of one machine."""

    async def listen(self, frontend: Frontend) -> socket.socket:
        """A listening socket, non-blocking; raises OSError."""

    async def release(self, frontend: Frontend) -> None:
        """The frontend is gone for good."""


class BoundListeners:
    """Binds here: for a node with a network of its own."""

    async def listen(self, frontend: Frontend) -> socket.socket:
        listener = socket.create_server(frontend, backlog=BACKLOG)
        listener.setblocking(False)
        return listener

    async def release(self, frontend: Frontend) -> None:
        """Closing the socket was all there is to do."""


#: Told the route whose port could not be bound, the frontend that serves instead (None: nothing
#: does), and why.
OnProblem = Callable[[Route, Frontend, Frontend | None, OSError], None]


class Listeners:
    """The open sockets of one proxy."""

    def __init__(self, source: ListenerSource, on_problem: OnProblem) -> None:
        self._source = source
        self._on_problem = on_problem
        self._table: Table = {}
        self._balancers: dict[Frontend, Balancer] = {}
        self._servers: dict[Frontend, asyncio.Server] = {}
        self._served_at: dict[Frontend, Frontend] = {}
        self._clients: set[ClientSide] = set()
        self._deserted = asyncio.Event()
        self._dials = TaskSet("service-proxy")

    async def apply(self, table: Table) -> None:
        """Open, close and re-route until what is open is what the table says."""
        todo = changes(self._table, table)
        for frontend in todo.closed:
            await self._close(frontend)
        self._table = table
        for frontend, route in table.items():
            if frontend in self._balancers:
                self._balancers[frontend].replace(route)
            else:
                self._balancers[frontend] = Balancer(route)
        for frontend in todo.opened:
            await self._open(frontend)

    async def close(self) -> None:
        """Close everything: listeners first, then the connections that are under way."""
        for frontend in list(self._balancers):
            self._stop_listening(frontend)
        for client in list(self._clients):
            client.abort()
        await self._dials.close()
        if self._clients:  # their transports close on the loop's next turns
            self._deserted.clear()
            await self._deserted.wait()

    async def _open(self, frontend: Frontend) -> None:
        route = self._table[frontend]
        try:
            await self._serve(frontend, frontend)
        except OSError as error:
            instead = await self._serve_high(frontend, error)
            self._on_problem(route, frontend, instead, error)

    async def _serve_high(self, frontend: Frontend, error: OSError) -> Frontend | None:
        denied = error.errno in (errno.EACCES, errno.EPERM)
        if not denied or frontend.port >= PRIVILEGED_BELOW:
            return None
        high = Frontend(frontend.address, frontend.port + HIGH_PORT_OFFSET)
        try:
            await self._serve(frontend, high)
        except OSError:
            return None
        return high

    async def _serve(self, frontend: Frontend, at: Frontend) -> None:
        balancer = self._balancers[frontend]
        listener = await self._source.listen(at)
        loop = asyncio.get_running_loop()
        self._servers[frontend] = await loop.create_server(
            lambda: self._relay(balancer), sock=listener
        )
        self._served_at[frontend] = at

    def _relay(self, balancer: Balancer) -> ClientSide:
        client = ClientSide(balancer, self._dials, self._ended)
        self._clients.add(client)
        return client

    def _ended(self, client: ClientSide) -> None:
        self._clients.discard(client)
        if not self._clients:
            self._deserted.set()

    async def _close(self, frontend: Frontend) -> None:
        at = self._stop_listening(frontend)
        if at is not None:
            await self._source.release(at)

    def _stop_listening(self, frontend: Frontend) -> Frontend | None:
        self._balancers.pop(frontend, None)
        server = self._servers.pop(frontend, None)
        if server is not None:
            server.close()
        return self._served_at.pop(frontend, None)
