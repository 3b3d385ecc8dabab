"""The node's HTTPS server, asked as the API server asks it."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.node.kubelet.builders import pod
from tests.node.kubelet.certificates import Certificates, Pair
from tests.node.kubelet.node_harness import DEADLINE, Node, state_of


class Asker:
    """An HTTPS client with one certificate."""

    def __init__(self, node: Node, session: aiohttp.ClientSession) -> None:
        assert node.kubelet is not None
        self._url = f"https://127.0.0.1:{node.kubelet.port}"
        self._session = session

    async def get(self, path: str) -> tuple[int, str]:
        async with self._session.get(self._url + path) as response:
            return response.status, await response.text()

    def stream(self, path: str) -> aiohttp.client._RequestContextManager:
        return self._session.get(self._url + path)


def session(certificates: Certificates, pair: Pair) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=certificates.client_context(pair))
    return aiohttp.ClientSession(connector=connector)


@pytest.fixture
async def asker(ready_node: Node) -> AsyncIterator[Asker]:
    certificates = ready_node.certificates
    async with session(certificates, certificates.api_server) as open_session:
        yield Asker(ready_node, open_session)


@pytest.fixture
async def talking_pod(ready_node: Node) -> Node:
    await ready_node.create(pod())
    await ready_node.until_running()
    for number in range(5):
        ready_node.runtime.say("web", "app", f"line {number}")
    return ready_node


async def test_health_and_pods_are_told(ready_node: Node, asker: Asker) -> None:
    assert await asker.get("/healthz") == (200, "ok")
    await ready_node.create(pod())
    await ready_node.until_running()
    status, body = await asker.get("/pods")
    assert status == 200
    assert '"name":"web"' in body


async def test_metrics_are_told(talking_pod: Node, asker: Asker) -> None:
    status, text = await asker.get("/metrics")
    assert status == 200
    assert 'kubelet_desired_pods{static=""} 1.0' in text


async def test_only_the_api_server_is_let_in(ready_node: Node) -> None:
    certificates = ready_node.certificates
    async with session(certificates, certificates.stranger) as stranger:
        asker = Asker(ready_node, stranger)
        assert (await asker.get("/healthz"))[0] == 200
        assert (await asker.get("/pods"))[0] == 403
        assert (await asker.get("/metrics"))[0] == 403
        assert (await asker.get("/containerLogs/default/web/app"))[0] == 403


async def test_nobody_comes_in_without_a_certificate(ready_node: Node) -> None:
    assert ready_node.kubelet is not None
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as nobody:
        with pytest.raises((aiohttp.ClientError, OSError)):
            await nobody.get(f"https://127.0.0.1:{ready_node.kubelet.port}/healthz")


async def test_a_log_is_given_whole_or_in_part(talking_pod: Node, asker: Asker) -> None:
    path = "/containerLogs/default/web/app"
    whole = "".join(f"line {number}\n" for number in range(5))
    assert await asker.get(path) == (200, whole)
    assert await asker.get(f"{path}?tailLines=2") == (200, "line 3\nline 4\n")
    assert await asker.get(f"{path}?limitBytes=8") == (200, "line 0\nl")
    assert await asker.get(f"{path}?sinceSeconds=3600") == (200, whole)
    _, stamped = await asker.get(f"{path}?timestamps=true&tailLines=1")
    assert stamped.endswith("Z line 4\n")


async def test_a_followed_log_grows_and_ends_with_its_container(
    talking_pod: Node, asker: Asker
) -> None:
    async with (
        asyncio.timeout(DEADLINE),
        asker.stream("/containerLogs/default/web/app?follow=true&tailLines=1") as response,
    ):
        assert await response.content.readline() == b"line 4\n"
        talking_pod.runtime.say("web", "app", "and more")
        assert await response.content.readline() == b"and more\n"
        talking_pod.runtime.say("web", "app", "farewell")
        talking_pod.runtime.exit("web", "app", code=0)
        assert await response.content.read() == b"farewell\n"


async def test_a_followed_log_that_is_left_leaves_nothing_behind(
    talking_pod: Node, asker: Asker
) -> None:
    assert talking_pod.kubelet is not None
    followers = talking_pod.kubelet._logs._followers
    async with asker.stream("/containerLogs/default/web/app?follow=true") as response:
        assert await response.content.readline() == b"line 0\n"
        assert followers
    await talking_pod.until(lambda: not followers, "the follower to be forgotten")


async def test_the_log_before_a_restart_is_kept(talking_pod: Node, asker: Asker) -> None:
    path = "/containerLogs/default/web/app"
    status, text = await asker.get(f"{path}?previous=true")
    assert status == 400
    assert text == 'previous terminated container "app" in pod "web" not found'
    talking_pod.runtime.exit("web", "app", code=1)
    await talking_pod.until_pod(
        lambda p: (
            p["status"]["containerStatuses"][0]["restartCount"] == 1 and "running" in state_of(p)
        ),
        "the restart",
    )
    talking_pod.runtime.say("web", "app", "again")
    assert await asker.get(path) == (200, "again\n")
    status, text = await asker.get(f"{path}?previous=true&tailLines=1")
    assert (status, text) == (200, "line 4\n")


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/containerLogs/default/none/app", 404, 'pod "none" does not exist'),
        ("/containerLogs/default/web/none", 404, 'container "none" not found in pod "web"'),
        ("/containerLogs/default/web/app?tailLines=x", 400, "bad log options"),
        ("/containerLogs/default/web/app?tailLines=-1", 400, "must not be negative"),
    ],
)
async def test_what_is_not_there_is_named(
    talking_pod: Node, asker: Asker, path: str, status: int, text: str
) -> None:
    answer = await asker.get(path)
    assert answer[0] == status
    assert text in answer[1]


async def test_a_container_that_waits_has_no_log(ready_node: Node, asker: Asker) -> None:
    ready_node.runtime.absent_images.add("app:1")
    await ready_node.create(pod())
    await ready_node.until_pod(lambda p: "ErrImagePull" in str(p.get("status")), "ErrImagePull")

    async def told() -> bool:
        status, text = await asker.get("/containerLogs/default/web/app")
        assert status == 400
        return text == 'container "app" in pod "web" is waiting to start: ErrImagePull'

    await ready_node.until(told, "the reason in the answer")
