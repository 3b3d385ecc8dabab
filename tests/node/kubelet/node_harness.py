"""A kubelet between two fakes that keep their protocols: an API server and a CRI runtime."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from podling.aiokit.clock import system_wall_clock
from podling.aiokit.ids import random_uuid
from podling.kube import kinds
from podling.kube.client import Client
from podling.kube.errors import NotFound
from podling.kube.informer import InformerFactory
from podling.kube.meta import Object
from podling.node.kubelet.kubelet import Kubelet, KubeletConfig
from podling.node.kubelet.planning.restart_policy import DelayRange
from podling.simulate.api_server import MemoryApiServer
from podling.simulate.runtime import MemoryRuntime
from tests.node.kubelet.certificates import Certificates

DEADLINE = 30.0
NODE = "node-1"


@dataclass(slots=True)
class Node:
    """One node of a cluster without anything else: scheduling is done by the test."""

    directory: Path
    api: MemoryApiServer
    runtime: MemoryRuntime
    client: Client
    certificates: Certificates
    changes: Mapping[str, Any] = field(default_factory=dict)
    kubelet: Kubelet | None = None
    informers: InformerFactory | None = None

    @property
    def config(self) -> KubeletConfig:
        standard = KubeletConfig(
            node_name=NODE,
            runtime_socket=str(self.directory / "cri.sock"),
            root_directory=self.directory / "kubelet",
            log_directory=self.directory / "logs",
            server_certificate=self.certificates.server.certificate,
            server_key=self.certificates.server.key,
            client_authority=self.certificates.authority,
            addresses=("127.0.0.1",),
            port=0,
            lease_duration=4.0,
            lease_renew_interval=0.1,
            crash_loop=DelayRange(initial=0.1, cap=1.0),
        )
        return replace(standard, **self.changes)

    async def start_kubelet(self) -> Kubelet:
        """Start one, and be the IPAM controller for it."""
        client = Client(self.api, user_agent="kubelet")
        self.informers = InformerFactory(client, Random(1))
        self.kubelet = Kubelet(self.config, client, self.informers, system_wall_clock, Random(1))
        await self.informers.start()
        await self.kubelet.start()
        return self.kubelet

    async def stop_kubelet(self) -> None:
        if self.kubelet is not None:
            await self.kubelet.stop()
        if self.informers is not None:
            await self.informers.stop()
        self.kubelet = self.informers = None

    async def assign_pod_cidr(self, cidr: str = "127.9.64.0/24") -> None:
        await self.until(lambda: self._exists(kinds.NODE, NODE), "the Node to be registered")
        patch = {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}}
        await self.client.patch(kinds.NODE, NODE, patch)

    @property
    def mounts_files(self) -> bool:
        assert self.kubelet is not None
        return self.kubelet._facts.mounts_files

    async def ready(self) -> None:
        """Start a kubelet and wait until it works on pods."""
        await self.ready_with("127.9.64.0/24")

    async def ready_with(self, cidr: str) -> None:
        """The same, with a range of pod addresses."""
        kubelet = await self.start_kubelet()
        await self.assign_pod_cidr(cidr)
        async with asyncio.timeout(DEADLINE):
            await kubelet.ready.wait()

    async def create(self, pod: Object) -> Object:
        wanted = {**pod, "metadata": {**pod["metadata"]}}
        wanted["metadata"].pop("uid", None)
        return await self.client.create(kinds.POD, wanted)

    async def pod(self, name: str = "web") -> Object | None:
        return await self._get(kinds.POD, name)

    async def until_pod(
        self, check: Callable[[Object], bool], what: str, name: str = "web"
    ) -> Object:
        """Wait until the pod is as `check` wants it, and return it."""

        async def holds() -> Object | None:
            pod = await self.pod(name)
            return pod if pod is not None and check(pod) else None

        pod: Object = await self.until(holds, what)
        return pod

    async def until_gone(self, name: str = "web") -> None:
        async def gone() -> bool:
            return await self.pod(name) is None

        await self.until(gone, f"pod {name} to be gone")

    async def until_running(self, name: str = "web") -> Object:
        return await self.until_pod(phase_is("Running"), f"pod {name} to run", name)

    async def reasons(self, name: str = "web") -> list[str]:
        """The reasons of the Events about a pod."""
        events = (await self.client.list(kinds.EVENT)).items
        return [e["reason"] for e in events if e["involvedObject"]["name"] == name]

    async def until_event(self, reason: str, name: str = "web") -> None:
        async def seen() -> bool:
            return reason in await self.reasons(name)

        await self.until(seen, f"an Event {reason} about {name}")

    async def until(self, check: Callable[[], Any], what: str) -> Any:
        """Poll an asynchronous or plain `check` until it gives something true."""
        last: object = None
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    last = check()
                    if asyncio.iscoroutine(last):
                        last = await last
                    if last:
                        return last
                    await asyncio.sleep(0.005)
        except TimeoutError:
            state = await self.pod()
            raise AssertionError(f"waited in vain for {what}; last {last!r}; {state}") from None

    async def _exists(self, kind: kinds.Kind, name: str) -> bool:
        return await self._get(kind, name) is not None

    async def _get(self, kind: kinds.Kind, name: str) -> Object | None:
        namespace = "default" if kind.namespaced else ""
        try:
            return await self.client.get(kind, name, namespace)
        except NotFound:
            return None


def phase_is(phase: str) -> Callable[[Object], bool]:
    return lambda pod: pod.get("status", {}).get("phase") == phase


def state_of(pod: Object, index: int = 0) -> Object:
    """The state of a container: `{"running": {...}}`."""
    found: Object = pod["status"]["containerStatuses"][index]["state"]
    return found


def restarts_of(pod: Object, index: int = 0) -> int:
    """How often a container was restarted; 0 while nothing is known of it."""
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return int(statuses[index]["restartCount"]) if len(statuses) > index else 0


def condition(obj: Object, kind: str) -> str:
    for entry in obj.get("status", {}).get("conditions") or []:
        if entry["type"] == kind:
            return str(entry["status"])
    return ""


@asynccontextmanager
async def node(certificates: Certificates, **changes: Any) -> AsyncIterator[Node]:
    """A node whose runtime and API server are up; the kubelet is not started."""
    # A short path: a Unix socket's name has at most 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="kubelet-"))
    api = MemoryApiServer(system_wall_clock, random_uuid)
    runtime = MemoryRuntime(system_wall_clock)
    await runtime.start(str(directory / "cri.sock"))
    made = Node(directory, api, runtime, Client(api, user_agent="test"), certificates, changes)
    try:
        yield made
    finally:
        await made.stop_kubelet()
        await runtime.stop()
        shutil.rmtree(directory)
