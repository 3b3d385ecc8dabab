"""The client of kube over the in-process transport, against a real API server core."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from podling.controlplane.apiserver.request.authn import AUTHENTICATED, User
from podling.kube import errors, kinds
from podling.kube.client import Client
from podling.kube.transport import HttpRequest, TransportError
from podling.launcher.programs.inprocess_transport import InProcessTransport
from tests.controlplane.apiserver.api import ADMIN, PATIENCE, Api, config_map, running_api
from tests.waiting import until


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with running_api() as running:
        yield running


@pytest.fixture
async def transport(api: Api) -> AsyncIterator[InProcessTransport]:
    transport = InProcessTransport(api.core.face.handle, ADMIN)
    yield transport
    await transport.close()


@pytest.fixture
def client(transport: InProcessTransport) -> Client:
    return Client(transport, user_agent="test")


async def test_objects_go_in_and_out(client: Client) -> None:
    created = await client.create(kinds.CONFIG_MAP, config_map("a", {"k": "v"}), "default")
    assert await client.get(kinds.CONFIG_MAP, "a", "default") == created
    listed = await client.list(kinds.CONFIG_MAP, "default")
    assert [one["metadata"]["name"] for one in listed.items] == ["a"]
    with pytest.raises(errors.NotFound):
        await client.get(kinds.CONFIG_MAP, "b", "default")


async def test_a_long_list_arrives_whole(client: Client) -> None:
    for number in range(40):
        body = config_map(f"a{number:02}", {"k": "v" * 100_000})
        await client.create(kinds.CONFIG_MAP, body, "default")
    listed = await client.list(kinds.CONFIG_MAP, "default")
    assert len(listed.items) == 40


async def test_a_watch_delivers_and_ends_with_its_reader(client: Client, api: Api) -> None:
    start = (await client.list(kinds.CONFIG_MAP, "default")).resource_version
    watch = client.watch(kinds.CONFIG_MAP, "default", resource_version=start)
    async with asyncio.timeout(PATIENCE), watch as events:
        await client.create(kinds.CONFIG_MAP, config_map("a"), "default")
        event = await anext(aiter(events))
        assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "a")
        assert api.core.cache.watch_count() == 1
    await until(lambda: api.core.cache.watch_count() == 0, "the watch is forgotten")


async def test_a_server_that_stops_ends_its_watches(
    transport: InProcessTransport, api: Api
) -> None:
    path = kinds.CONFIG_MAP.path("default")
    stream = await transport.stream(
        HttpRequest("GET", path, {"watch": "true", "resourceVersion": "1"}), timeout=PATIENCE
    )
    api.core.end_watches()
    async with asyncio.timeout(PATIENCE):
        assert b"".join([piece async for piece in stream]) == b""


async def test_an_answer_that_is_late_is_an_error(api: Api, transport: InProcessTransport) -> None:
    query = {"resourceVersion": "999999", "resourceVersionMatch": "NotOlderThan"}
    late = HttpRequest("GET", kinds.CONFIG_MAP.path("default"), query)
    with pytest.raises(TransportError):
        await transport.request(late, timeout=0.01)


async def test_the_identity_is_the_transports(api: Api) -> None:
    transport = InProcessTransport(api.core.face.handle, User("nobody", (AUTHENTICATED,)))
    client = Client(transport, user_agent="test")
    with pytest.raises(errors.Forbidden):
        await client.list(kinds.SECRET, "default")
    await transport.close()
    with pytest.raises(TransportError):
        await client.list(kinds.SECRET, "default")
