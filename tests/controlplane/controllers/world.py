"""A cluster without nodes: the real API server on a store in memory, and the controllers.

`World.run_pods` stands for all node agents: pods get addresses and become ready, and pods that are
being deleted go.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from podling.aiokit import ids
from podling.aiokit.clock import system_wall_clock
from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.api_core import ApiCore, ApiCoreConfig
from podling.controlplane.apiserver.api_core import World as ApiWorld
from podling.controlplane.apiserver.request.authn import AUTHENTICATED, MASTERS, User
from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.manager import ControllerConfig, ControllerManager
from podling.kube import kinds, meta, timestamps
from podling.kube.client import Client
from podling.kube.errors import ApiError
from podling.kube.event_recorder import EventRecorder
from podling.kube.informer import InformerFactory
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from podling.launcher.programs.inprocess_transport import InProcessTransport
from podling.simulate.memory_storage import MemoryStorage
from tests.controlplane.apiserver.api import FakeNodeLogs

ADMIN = User("kubernetes-admin", (MASTERS, AUTHENTICATED))
CONTROLLERS = User("system:kube-controller-manager", (AUTHENTICATED,))
PATIENCE = 30.0
API = ApiCoreConfig(
    podling_version="0.0.test",
    service_range="127.9.0.0/18",
    not_ready_toleration_seconds=1,
    unreachable_toleration_seconds=1,
    compaction_seconds=0,
)
CONFIG = ControllerConfig(
    cluster_cidr="127.9.64.0/18",
    node_monitor_grace_period=0.6,
    root_ca="-----BEGIN CERTIFICATE-----\n",
    missing_node_quarantine=0.1,
)


class World:
    """What a test asks and waits for."""

    def __init__(self, client: Client, manager: ControllerManager, tasks: TaskSet) -> None:
        self.client = client
        self._manager = manager
        self._tasks = tasks
        self._term = self._begin()
        self.ready = True
        """Whether pods become ready."""

    def _begin(self) -> "asyncio.Task[None]":
        return self._tasks.spawn(self._manager.lead(), name="lead")

    async def end_term(self) -> None:
        """The controllers lead no longer."""
        self._term.cancel()
        await asyncio.wait([self._term])
        assert self._term.cancelled(), "the controllers died"

    def begin_term(self) -> None:
        """The controllers lead again."""
        self._term = self._begin()

    async def make(self, kind: Kind, obj: Object, **metadata: Any) -> Object:
        clean = {"name": meta.name(obj), **metadata}
        for field in ("labels", "annotations", "ownerReferences", "finalizers"):
            if field in obj["metadata"]:
                clean[field] = obj["metadata"][field]
        namespace = metadata.get("namespace", "default" if kind.namespaced else "")
        return await self.client.create(kind, {**obj, "metadata": clean}, namespace)

    async def get(self, kind: Kind, name: str, namespace: str = "default") -> Object:
        return await self.client.get(kind, name, namespace if kind.namespaced else "")

    async def list(self, kind: Kind, namespace: str = "default") -> list[Object]:
        return (await self.client.list(kind, namespace)).items

    async def gone(self, kind: Kind, name: str, namespace: str = "default") -> bool:
        try:
            await self.get(kind, name, namespace)
        except ApiError as error:
            return error.code == 404
        return False

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait for a condition, looking again every few milliseconds."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not await holds():  # noqa: ASYNC110 the API has no event for "any change"
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"in vain: {what}") from None

    async def until_counts(self, name: str, **wanted: int) -> Object:
        """Wait for numbers in the status of a Deployment; returns it."""
        found: list[Object] = []

        async def holds() -> bool:
            found[:] = [await self.get(kinds.DEPLOYMENT, name)]
            status = found[0].get("status") or {}
            current = status.get("observedGeneration") == meta.generation(found[0])
            return current and all(status.get(field, 0) == count for field, count in wanted.items())

        try:
            await self.until(f"{name} has {wanted}", holds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it has {found[0].get('status')}") from None
        return found[0]

    async def patch(self, kind: Kind, name: str, patch: Object) -> Object:
        return await self.client.patch(kind, name, patch, "default" if kind.namespaced else "")

    def run_pods(self) -> None:
        """From now on there are node agents."""
        self._tasks.spawn(self._run_pods(), name="node-agents")

    async def _run_pods(self) -> None:
        numbers = iter(range(2, 250))
        addresses: dict[str, str] = {}
        while True:
            for pod in await self.list(kinds.POD, ""):
                if meta.uid(pod) not in addresses:
                    addresses[meta.uid(pod)] = f"127.9.65.{next(numbers)}"
                try:
                    await self._run(pod, addresses[meta.uid(pod)])
                except ApiError as error:
                    assert error.code in (404, 409)
            await asyncio.sleep(0.005)

    async def _run(self, pod: Object, address: str) -> None:
        if meta.is_deleting(pod):
            await self.client.delete(
                kinds.POD, meta.name(pod), meta.namespace(pod), grace_period_seconds=0
            )
        elif (pod.get("status") or {}).get("phase") == "Pending" and self.ready:
            status = {
                **pod["status"],
                "phase": "Running",
                "podIP": address,
                "podIPs": [{"ip": address}],
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "lastTransitionTime": timestamps.format_time(system_wall_clock()),
                    }
                ],
            }
            await self.client.update(kinds.POD, {**pod, "status": status}, "status")


@asynccontextmanager
async def running(config: ControllerConfig = CONFIG) -> AsyncIterator[World]:
    """A world whose controllers lead."""
    outside = ApiWorld(
        system_wall_clock,
        ids.random_uuid,
        random.Random(5),
        CollectorRegistry(),
        FakeNodeLogs(),
        lambda *_: None,
    )
    core = ApiCore(API, MemoryStorage(), outside)
    await core.start()
    try:
        async with controlling(core, config) as world:
            yield world
    finally:
        core.end_watches()
        await core.stop()


@asynccontextmanager
async def controlling(core: ApiCore, config: ControllerConfig = CONFIG) -> AsyncIterator[World]:
    """Controllers that lead in the process of an API server."""
    dice = random.Random(5)
    async with TaskSet("world") as tasks:
        admin = InProcessTransport(core.face.handle, ADMIN)
        transport = InProcessTransport(core.face.handle, CONTROLLERS)
        client = Client(transport, user_agent="controllers")
        informers = InformerFactory(client, dice)
        recorder = EventRecorder(client, "controllers", system_wall_clock)
        context = ControllerContext(client, informers, recorder, system_wall_clock, dice)
        manager = ControllerManager(config, context)
        for component in (manager, informers, recorder):
            await component.start()
        world = World(Client(admin, user_agent="test"), manager, tasks)
        try:
            await world.until("the cluster begins", lambda: _has_default(world))
            yield world
        finally:
            await world.end_term()
            await tasks.close()
            for stopping in (recorder, informers, manager):
                await stopping.stop()
            await transport.close()
            await admin.close()


async def _has_default(world: World) -> bool:
    try:
        return not await world.gone(kinds.SERVICE_ACCOUNT, "default")
    except ApiError:
        return False
