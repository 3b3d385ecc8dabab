"""An API server on an in-memory store, asked through its REST function."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import orjson
from prometheus_client import CollectorRegistry

from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.api_core import ApiCore, ApiCoreConfig, World
from podling.controlplane.apiserver.request.authn import AUTHENTICATED, MASTERS, User
from podling.controlplane.apiserver.request.messages import ApiRequest, ApiResponse
from podling.controlplane.apiserver.rest.logs import LogStream, NodeAddress
from podling.controlplane.apiserver.server_leases.lease_keys import Endpoint
from podling.controlplane.apiserver.storage.interface import Storage
from podling.kube.meta import Object
from podling.simulate.memory_storage import MemoryStorage

ADMIN = User("kubernetes-admin", (MASTERS, AUTHENTICATED))
NOW = 1_700_000_000.0
PATIENCE = 30.0
PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"

CONFIG = ApiCoreConfig(
    podling_version="0.0.test",
    service_range="127.9.0.0/18",
    advertised=Endpoint("127.9.255.1", 6443),
    not_ready_toleration_seconds=5,
    unreachable_toleration_seconds=5,
    compaction_seconds=0,
)


class FakeNodeLogs:
    """Node agents that answer with what a test has given them."""

    def __init__(self) -> None:
        self.status = 200
        self.lines: list[bytes] = []
        self.error: Exception | None = None
        self.asked: list[tuple[NodeAddress, str, dict[str, str]]] = []
        self.open_now = 0

    def open(
        self, address: NodeAddress, path: str, query: Mapping[str, str]
    ) -> AbstractAsyncContextManager[LogStream]:
        self.asked.append((address, path, dict(query)))
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator["FakeLog"]:
        if self.error is not None:
            raise self.error
        self.open_now += 1
        try:
            yield FakeLog(self.status, self.lines)
        finally:
            self.open_now -= 1


class FakeLog:
    def __init__(self, status: int, lines: list[bytes]) -> None:
        self.status = status
        self._lines = lines

    async def pieces(self) -> AsyncIterator[bytes]:
        for line in self._lines:
            yield line


class MemorySink:
    """Takes what is streamed. `full` makes it a peer that reads nothing."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.full = False
        self.aborted = False
        self._changed = asyncio.Event()

    @property
    def buffered(self) -> int:
        return len(self.data) if self.full else 0

    def write(self, data: bytes) -> None:
        self.data += data
        self._changed.set()

    async def drain(self) -> None:
        while self.full and not self.aborted:
            self._changed.clear()
            await self._changed.wait()

    def abort(self) -> None:
        self.aborted = True
        self._changed.set()

    async def lines(self, count: int) -> list[Any]:
        """The first `count` lines, decoded, as soon as they are there."""
        async with asyncio.timeout(PATIENCE):
            while self.data.count(b"\n") < count:
                self._changed.clear()
                await self._changed.wait()
        return [orjson.loads(line) for line in bytes(self.data).splitlines()[:count]]


class Reply:
    """An answer, read whole."""

    def __init__(self, response: ApiResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.content_type = response.content_type
        self.body = body

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Watching:
    """A watch that is open."""

    def __init__(self, sink: MemorySink, task: "asyncio.Task[None]") -> None:
        self.sink = sink
        self.task = task

    async def events(self, count: int) -> list[tuple[str, Object]]:
        return [(line["type"], line["object"]) for line in await self.sink.lines(count)]

    async def brief(self, count: int) -> list[str]:
        """Events as `TYPE name`."""
        return [
            f"{what} {obj.get('metadata', {}).get('name', '')}".strip()
            for what, obj in await self.events(count)
        ]

    async def ended(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.task


class Api:
    """Asks an `ApiCore`."""

    def __init__(self, core: ApiCore, storage: MemoryStorage, tasks: TaskSet) -> None:
        self.core = core
        self.storage = storage
        """Of a server that stands on an in-memory store."""
        self.node_logs = FakeNodeLogs()
        self.user = ADMIN
        self._tasks = tasks

    def request(self, method: str, url: str, body: Any = None, **headers: str) -> ApiRequest:
        path, _, query = url.partition("?")
        encoded = body if isinstance(body, bytes) else orjson.dumps(body) if body else b""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ApiRequest(
            method,
            path,
            dict(parse_qsl(query, keep_blank_values=True)),
            {"accept": "application/json", **named},
            encoded,
            self.user,
        )

    async def ask(self, method: str, url: str, body: Any = None, **headers: str) -> Reply:
        response = await self.core.face.handle(self.request(method, url, body, **headers))
        if response.stream is None:
            return Reply(response, response.body)
        sink = MemorySink()
        async with asyncio.timeout(PATIENCE):
            await response.stream(sink)
        return Reply(response, bytes(sink.data))

    async def get(self, url: str, **headers: str) -> Reply:
        return await self.ask("GET", url, **headers)

    async def post(self, url: str, body: Any, **headers: str) -> Reply:
        return await self.ask("POST", url, body, **headers)

    async def put(self, url: str, body: Any, **headers: str) -> Reply:
        return await self.ask("PUT", url, body, **headers)

    async def delete(self, url: str, body: Any = None) -> Reply:
        return await self.ask("DELETE", url, body)

    async def patch(self, url: str, body: Any, kind: str = "merge-patch") -> Reply:
        return await self.ask("PATCH", url, body, content_type=f"application/{kind}+json")

    async def create(self, url: str, body: Any) -> Object:
        """Create something that must succeed."""
        reply = await self.post(url, body)
        assert reply.status == 201, reply.body.decode()
        created: Object = reply.json
        return created

    async def watch(self, url: str, sink: MemorySink | None = None, **headers: str) -> Watching:
        joined = url + ("&" if "?" in url else "?") + "watch=true"
        response = await self.core.face.handle(self.request("GET", joined, **headers))
        assert response.stream is not None, response.body.decode()
        sink = sink or MemorySink()

        async def run() -> None:
            assert response.stream is not None
            await response.stream(sink)

        return Watching(sink, self._tasks.spawn(run(), name="watch"))

    async def reached(self) -> int:
        """Wait until the cache is as new as the store."""
        return await self.core.cache.refresh(PATIENCE)


class Ids:
    """uid-1, uid-2 …"""

    def __init__(self, prefix: str = "uid") -> None:
        self._prefix = prefix
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        return f"{self._prefix}-{self._count}"


def never(name: str, error: BaseException) -> None:
    raise AssertionError(f"{name} died of {error!r}")


@asynccontextmanager
async def running_api(
    storage: Storage | None = None, config: ApiCoreConfig = CONFIG, ids: Ids | None = None
) -> AsyncIterator[Api]:
    """An API server that has made its first objects."""
    memory = MemoryStorage()
    logs = FakeNodeLogs()
    world = World(lambda: NOW, ids or Ids(), random.Random(1), CollectorRegistry(), logs, never)
    core = ApiCore(config, storage or memory, world)
    async with TaskSet("test") as tasks:
        await core.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await core.ready()
            own = storage if isinstance(storage, MemoryStorage) else memory
            api = Api(core, own, tasks)
            api.node_logs = logs
            yield api
        finally:
            await core.stop()


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": data or {},
    }


def pod(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "busybox"}], **spec},
    }
