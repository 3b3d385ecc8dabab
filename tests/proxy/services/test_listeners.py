"""Real connections through real listeners."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from podling.proxy.services.listeners import BoundListeners, Listeners
from podling.proxy.services.routing_table import Endpoint, Frontend, Route, Table

TIMEOUT = 15
ADDRESS = "127.1.0.2"
"""No outgoing connection of this machine takes its ports, as it might those of 127.0.0.1."""


class Backend:
    """An endpoint: says its name, then echoes until the end of file, then says goodbye."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.endpoint = Endpoint(*self.server.sockets[0].getsockname())

    async def stop(self) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.name.encode() + b"\n")
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write(b"bye")
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            await close(writer)


@pytest.fixture
async def backends() -> AsyncIterator[list[Backend]]:
    made = [Backend("a"), Backend("b")]
    for backend in made:
        await backend.start()
    yield made
    for backend in made:
        await backend.stop()


@pytest.fixture
async def listeners() -> AsyncIterator[Listeners]:
    def fail(route: Route, frontend: Frontend, instead: Frontend | None, error: OSError) -> None:
        raise AssertionError(f"{route} {frontend} {instead} {error}")

    made = Listeners(BoundListeners(), fail)
    yield made
    await made.close()


@pytest.fixture
def frontend() -> Frontend:
    with socket.create_server((ADDRESS, 0)) as probe:
        return Frontend(*probe.getsockname())


def table(frontend: Frontend, *endpoints: Endpoint) -> Table:
    return {frontend: Route("default/web", "", endpoints, ())}


def refused() -> Endpoint:
    """Where nobody listens."""
    return Endpoint(ADDRESS, 1)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def name_of_answering(frontend: Frontend) -> str:
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection(*frontend)
        line = await reader.readline()
        await close(writer)
    return line.decode().strip()


async def test_connections_are_spread_over_the_endpoints(
    listeners: Listeners, backends: list[Backend], frontend: Frontend
) -> None:
    await listeners.apply(table(frontend, *(backend.endpoint for backend in backends)))
    assert [await name_of_answering(frontend) for _ in range(4)] == ["a", "b", "a", "b"]


async def test_a_dial_that_is_refused_goes_to_another_endpoint(
    listeners: Listeners, backends: list[Backend], frontend: Frontend
) -> None:
    await listeners.apply(table(frontend, refused(), backends[0].endpoint))
    assert [await name_of_answering(frontend) for _ in range(3)] == ["a", "a", "a"]


async def test_half_a_connection_may_end_before_the_other(
    listeners: Listeners, backends: list[Backend], frontend: Frontend
) -> None:
    await listeners.apply(table(frontend, backends[0].endpoint))
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection(*frontend)
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"a\nhellobye"
        await close(writer)


async def test_what_a_client_sends_at_once_is_never_lost(
    listeners: Listeners, backends: list[Backend], frontend: Frontend
) -> None:
    await listeners.apply(table(frontend, refused(), backends[0].endpoint))
    for _ in range(200):
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(*frontend)
            writer.write(b"hello")
            writer.write_eof()
            assert await reader.read() == b"a\nhellobye"
            await close(writer)


async def test_a_slow_reader_loses_nothing(
    listeners: Listeners, backends: list[Backend], frontend: Frontend
) -> None:
    payload = b"x" * 5_000_000
    await listeners.apply(table(frontend, backends[0].endpoint))
    async with asyncio.timeout(TIMEOUT * 2):
        reader, writer = await asyncio.open_connection(*frontend)
        writer.write(payload)
        writer.write_eof()
        assert await reader.readline() == b"a\n"
        assert await reader.read() == payload + b"bye"
        await close(writer)


async def test_a_connection_without_any_endpoint_is_ended(
    listeners: Listeners, frontend: Frontend
) -> None:
    await listeners.apply(table(frontend))
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection(*frontend)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        await close(writer)


async def test_a_reset_by_the_client_reaches_the_endpoint(
    listeners: Listeners, frontend: Frontend
) -> None:
    lost = asyncio.Event()

    class Endless(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Endless, "127.0.0.1", 0)
    await listeners.apply(table(frontend, Endpoint(*server.sockets[0].getsockname())))
    async with asyncio.timeout(TIMEOUT):
        _, writer = await asyncio.open_connection(*frontend)
        writer.transport.abort()
        await lost.wait()
        await close(writer)
    server.close()
    await server.wait_closed()


async def test_a_removed_service_is_listened_for_no_more_but_connections_go_on(
    listeners: Listeners, backends: list[Backend], frontend: Frontend
) -> None:
    await listeners.apply(table(frontend, backends[0].endpoint))
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection(*frontend)
        assert await reader.readline() == b"a\n"
        await listeners.apply({})
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*frontend)
        writer.write(b"still here")
        writer.write_eof()
        assert await reader.read() == b"still herebye"
        await close(writer)


async def test_new_endpoints_take_over_without_a_new_listener(
    listeners: Listeners, backends: list[Backend], frontend: Frontend
) -> None:
    await listeners.apply(table(frontend, backends[0].endpoint))
    await listeners.apply(table(frontend, backends[1].endpoint))
    assert await name_of_answering(frontend) == "b"


class Unprivileged(BoundListeners):
    """Like the kernel towards a user who may not bind below 1024."""

    async def listen(self, frontend: Frontend) -> socket.socket:
        if frontend.port < 1024:
            raise PermissionError(13, "Permission denied")
        return await super().listen(frontend)


async def test_a_port_that_needs_a_privilege_is_served_high_and_said(
    backends: list[Backend],
) -> None:
    said: list[tuple[Frontend, Frontend | None]] = []
    listeners = Listeners(
        Unprivileged(), lambda route, wanted, instead, error: said.append((wanted, instead))
    )
    low, high = Frontend(ADDRESS, 81), Frontend(ADDRESS, 10081)
    await listeners.apply(table(low, backends[0].endpoint))
    assert said == [(low, high)]
    assert await name_of_answering(high) == "a"
    await listeners.close()
