"""The simulated API server passes the suite of all API servers, and its faults do what they say."""

import itertools

import pytest

from podling.kube import kinds
from podling.kube.client import Client
from podling.kube.errors import Expired
from podling.kube.transport import TransportError
from podling.simulate.api_server import MemoryApiServer
from tests.contract.api import ApiContract, config_map, watching


@pytest.fixture
def server() -> MemoryApiServer:
    numbers = itertools.count()
    return MemoryApiServer(lambda: 1_000_000.5, lambda: f"id-{next(numbers):05}")


@pytest.fixture
def client(server: MemoryApiServer) -> Client:
    return Client(server, user_agent="test")


class TestMemoryApiServer(ApiContract):
    pass


async def test_a_server_that_is_down_answers_nobody(
    server: MemoryApiServer, client: Client
) -> None:
    server.down = True
    with pytest.raises(TransportError):
        await client.list(kinds.CONFIG_MAP)


async def test_watches_are_broken_on_purpose(server: MemoryApiServer, client: Client) -> None:
    async with watching(client, "1") as reader:
        server.break_watches()
        with pytest.raises(TransportError):
            await reader.next()
    assert server.watches == 0


async def test_no_watch_reaches_behind_a_compaction(
    server: MemoryApiServer, client: Client
) -> None:
    start = str(server.revision)
    await client.create(kinds.CONFIG_MAP, config_map())
    server.compact()
    with pytest.raises(Expired):
        async with watching(client, start) as reader:
            await reader.next()


async def test_history_is_bounded() -> None:
    server = MemoryApiServer(lambda: 0.0, map(str, itertools.count()).__next__, history=2)
    client = Client(server, user_agent="test")
    start = server.revision
    for _ in range(3):
        await client.create(kinds.CONFIG_MAP, config_map())
    with pytest.raises(Expired):
        async with watching(client, str(start)) as reader:
            await reader.next()
    async with watching(client, str(start + 1)) as reader:
        assert len(await reader.names(2)) == 2
