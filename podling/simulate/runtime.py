"""A container runtime in memory behind the real CRI: sandboxes and containers that are only said.

    runtime = MemoryRuntime(wall_clock)
    await runtime.start(socket)
    ...
    runtime.exit("web", "app", code=1)       what a process would do
    runtime.say("web", "app", "hello")       a line in its log
    runtime.refuse("CreateContainer", grpc.StatusCode.INTERNAL, "disk full")

A container runs until it is told to exit. StopContainer ends it at once with 143 or, if it is named
`stubborn`, with 137 when the grace period is over. What a kubelet needs of a runtime is promised
here as by the real one, and one contract suite holds both to it.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from podling.aiokit.clock import WallClock
from podling.node.cripb import api_pb2 as cri
from podling.node.cripb import api_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]
EVENTS = 10_000
"""Events that may wait for one slow reader before it is cut off."""


@dataclass(slots=True)
class MemoryContainer:
    """One container: what was asked for and what is said of it."""

    id: str
    config: cri.ContainerConfig
    status: cri.ContainerStatus
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class MemorySandbox:
    """One sandbox with its containers, oldest first."""

    id: str
    config: cri.PodSandboxConfig
    status: cri.PodSandboxStatus
    containers: dict[str, MemoryContainer] = field(default_factory=dict)


class MemoryRuntime(api_pb2_grpc.RuntimeServiceServicer, api_pb2_grpc.ImageServiceServicer):
    """Both CRI services and the verbs of a test."""

    def __init__(self, clock: WallClock, *, pod_cidr: str = "127.9.64.0/24") -> None:
        self._clock = clock
        self._last_time = 0
        self._ids = itertools.count(1)
        self._addresses = (
            str(address) for address in itertools.islice(ip_network(pod_cidr).hosts(), 1, None)
        )
        self._server: grpc.aio.Server | None = None
        self._readers: set[asyncio.Queue[cri.ContainerEventResponse]] = set()
        self._refusals: dict[str, tuple[grpc.StatusCode, str]] = {}
        self.sandboxes: dict[str, MemorySandbox] = {}
        self.calls: Counter[str] = Counter()
        """How often each call was made."""
        self.absent_images: set[str] = set()
        """Images that cannot be pulled; all others are present."""
        self.stubborn: set[str] = set()
        """Names of containers that ignore SIGTERM."""
        self.capabilities = "{}"
        self.trouble = ""
        """Why it does not work; empty if it does."""
        self.pod_cidr = ""
        """What UpdateRuntimeConfig said last."""
        self.execute: Callable[[str, list[str]], tuple[int, str]] = lambda name, command: (0, "")
        """Answers ExecSync: (container name, command) -> (exit code, output)."""

    async def start(self, socket: str) -> None:
        """Serve at this path."""
        self._server = grpc.aio.server()
        api_pb2_grpc.add_RuntimeServiceServicer_to_server(self, self._server)
        api_pb2_grpc.add_ImageServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"unix:{socket}")
        await self._server.start()

    async def stop(self) -> None:
        """Stop serving; what runs goes on running, and `start` serves it again."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    # The verbs.

    def container(self, pod: str, name: str) -> MemoryContainer:
        """The newest container of that name in the pod; LookupError if there is none."""
        found = [
            container
            for sandbox in self.sandboxes.values()
            if sandbox.config.metadata.name == pod
            for container in sandbox.containers.values()
            if container.config.metadata.name == name
        ]
        if not found:
            raise LookupError(f"pod {pod} has no container {name}")
        return max(found, key=lambda container: container.config.metadata.attempt)

    def running(self, pod: str) -> list[str]:
        """Names of the pod's running containers."""
        return sorted(
            container.config.metadata.name
            for sandbox in self.sandboxes.values()
            if sandbox.config.metadata.name == pod
            for container in sandbox.containers.values()
            if container.status.state == cri.CONTAINER_RUNNING
        )

    def exit(self, pod: str, name: str, code: int = 0) -> None:
        """The newest container of that name ends by itself."""
        container = self.container(pod, name)
        self._end(self._sandbox_of(container.id), container, code)

    def say(self, pod: str, name: str, text: str) -> None:
        """The container writes a line to its standard output."""
        container = self.container(pod, name)
        moment = datetime.fromtimestamp(self._clock(), UTC)
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z"
        path = Path(container.status.log_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write(f"{stamp} stdout F {text}\n")

    def lose_sandbox(self, pod: str) -> None:
        """The newest sandbox of the pod breaks, with all that runs in it."""
        found = [s for s in self.sandboxes.values() if s.config.metadata.name == pod]
        self._stop_sandbox(max(found, key=lambda sandbox: sandbox.config.metadata.attempt), 137)

    def refuse(self, call: str, code: grpc.StatusCode, text: str) -> None:
        """Every call of this name fails until `allow`."""
        self._refusals[call] = (code, text)

    def allow(self, call: str) -> None:
        self._refusals.pop(call, None)

    # The runtime itself.

    async def Version(self, request: cri.VersionRequest, context: Context) -> cri.VersionResponse:
        await self._called("Version", context)
        return cri.VersionResponse(
            version="0.1.0",
            runtime_name="memory",
            runtime_version="0.1.0",
            runtime_api_version="v1",
        )

    async def Status(self, request: cri.StatusRequest, context: Context) -> cri.StatusResponse:
        await self._called("Status", context)
        conditions = [
            cri.RuntimeCondition(
                type="RuntimeReady", status=not self.trouble, message=self.trouble
            ),
            cri.RuntimeCondition(type="NetworkReady", status=True),
        ]
        return cri.StatusResponse(
            status=cri.RuntimeStatus(conditions=conditions),
            info={"capabilities": self.capabilities} if request.verbose else {},
        )

    async def UpdateRuntimeConfig(
        self, request: cri.UpdateRuntimeConfigRequest, context: Context
    ) -> cri.UpdateRuntimeConfigResponse:
        await self._called("UpdateRuntimeConfig", context)
        self.pod_cidr = request.runtime_config.network_config.pod_cidr
        return cri.UpdateRuntimeConfigResponse()

    # Sandboxes.

    async def RunPodSandbox(
        self, request: cri.RunPodSandboxRequest, context: Context
    ) -> cri.RunPodSandboxResponse:
        await self._called("RunPodSandbox", context)
        config = request.config
        if any(each.config.metadata == config.metadata for each in self.sandboxes.values()):
            text = f"sandbox {config.metadata.name} exists"
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, text)
        status = cri.PodSandboxStatus(
            id=f"sandbox-{next(self._ids)}",
            metadata=config.metadata,
            state=cri.SANDBOX_READY,
            created_at=self._now(),
            network=cri.PodSandboxNetworkStatus(ip=next(self._addresses)),
            labels=config.labels,
            annotations=config.annotations,
        )
        sandbox = self.sandboxes[status.id] = MemorySandbox(status.id, config, status)
        self._tell(sandbox, sandbox.id, cri.CONTAINER_STARTED_EVENT)
        return cri.RunPodSandboxResponse(pod_sandbox_id=sandbox.id)

    async def StopPodSandbox(
        self, request: cri.StopPodSandboxRequest, context: Context
    ) -> cri.StopPodSandboxResponse:
        await self._called("StopPodSandbox", context)
        sandbox = self.sandboxes.get(request.pod_sandbox_id)
        if sandbox is not None and sandbox.status.state == cri.SANDBOX_READY:
            self._stop_sandbox(sandbox, 137)
        return cri.StopPodSandboxResponse()

    async def RemovePodSandbox(
        self, request: cri.RemovePodSandboxRequest, context: Context
    ) -> cri.RemovePodSandboxResponse:
        await self._called("RemovePodSandbox", context)
        sandbox = self.sandboxes.get(request.pod_sandbox_id)
        if sandbox is not None:
            if sandbox.status.state == cri.SANDBOX_READY:
                self._stop_sandbox(sandbox, 137)
            del self.sandboxes[sandbox.id]
            self._tell(sandbox, sandbox.id, cri.CONTAINER_DELETED_EVENT)
        return cri.RemovePodSandboxResponse()

    async def PodSandboxStatus(
        self, request: cri.PodSandboxStatusRequest, context: Context
    ) -> cri.PodSandboxStatusResponse:
        await self._called("PodSandboxStatus", context)
        sandbox = self.sandboxes.get(request.pod_sandbox_id)
        if sandbox is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no sandbox {request.pod_sandbox_id}")
        return cri.PodSandboxStatusResponse(
            status=sandbox.status,
            containers_statuses=[each.status for each in sandbox.containers.values()],
            timestamp=self._now(),
        )

    async def ListPodSandbox(
        self, request: cri.ListPodSandboxRequest, context: Context
    ) -> cri.ListPodSandboxResponse:
        await self._called("ListPodSandbox", context)
        items = [
            cri.PodSandbox(
                id=sandbox.id,
                metadata=sandbox.config.metadata,
                state=sandbox.status.state,
                created_at=sandbox.status.created_at,
                labels=sandbox.config.labels,
            )
            for sandbox in self.sandboxes.values()
        ]
        return cri.ListPodSandboxResponse(items=items)

    # Containers.

    async def CreateContainer(
        self, request: cri.CreateContainerRequest, context: Context
    ) -> cri.CreateContainerResponse:
        await self._called("CreateContainer", context)
        sandbox = self.sandboxes.get(request.pod_sandbox_id)
        if sandbox is None or sandbox.status.state != cri.SANDBOX_READY:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no sandbox {request.pod_sandbox_id}")
        config = request.config
        if any(each.config.metadata == config.metadata for each in sandbox.containers.values()):
            text = f"container {config.metadata.name} exists"
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, text)
        status = cri.ContainerStatus(
            id=f"container-{next(self._ids)}",
            metadata=config.metadata,
            state=cri.CONTAINER_CREATED,
            created_at=self._now(),
            image=config.image,
            image_ref=config.image.image,
            labels=config.labels,
            annotations=config.annotations,
            log_path=str(Path(sandbox.config.log_directory) / config.log_path),
        )
        sandbox.containers[status.id] = MemoryContainer(status.id, config, status)
        self._tell(sandbox, status.id, cri.CONTAINER_CREATED_EVENT)
        return cri.CreateContainerResponse(container_id=status.id)

    async def StartContainer(
        self, request: cri.StartContainerRequest, context: Context
    ) -> cri.StartContainerResponse:
        await self._called("StartContainer", context)
        sandbox, container = await self._find(request.container_id, context)
        container.status.state = cri.CONTAINER_RUNNING
        container.status.started_at = self._now()
        self._tell(sandbox, container.id, cri.CONTAINER_STARTED_EVENT)
        return cri.StartContainerResponse()

    async def StopContainer(
        self, request: cri.StopContainerRequest, context: Context
    ) -> cri.StopContainerResponse:
        await self._called("StopContainer", context)
        sandbox, container = await self._find(request.container_id, context)
        code = 143
        if container.config.metadata.name in self.stubborn:
            code = 137
            try:
                async with asyncio.timeout(request.timeout):
                    await container.ended.wait()
            except TimeoutError:
                pass
        self._end(sandbox, container, code)
        return cri.StopContainerResponse()

    async def RemoveContainer(
        self, request: cri.RemoveContainerRequest, context: Context
    ) -> cri.RemoveContainerResponse:
        await self._called("RemoveContainer", context)
        for sandbox in self.sandboxes.values():
            container = sandbox.containers.get(request.container_id)
            if container is not None:
                self._end(sandbox, container, 137)
                del sandbox.containers[container.id]
                self._tell(sandbox, container.id, cri.CONTAINER_DELETED_EVENT)
        return cri.RemoveContainerResponse()

    async def ExecSync(
        self, request: cri.ExecSyncRequest, context: Context
    ) -> cri.ExecSyncResponse:
        await self._called("ExecSync", context)
        _, container = await self._find(request.container_id, context)
        code, output = self.execute(container.config.metadata.name, list(request.cmd))
        return cri.ExecSyncResponse(exit_code=code, stdout=output.encode())

    async def GetContainerEvents(  # type: ignore[override]
        self, request: cri.GetEventsRequest, context: Context
    ) -> None:
        await self._called("GetContainerEvents", context)
        # Subscribed before it says so: nothing that happens after the metadata may be missed.
        reader: asyncio.Queue[cri.ContainerEventResponse] = asyncio.Queue(EVENTS)
        self._readers.add(reader)
        try:
            await context.send_initial_metadata(())
            while True:
                await context.write(await reader.get())
        finally:
            self._readers.discard(reader)

    # Images.

    async def ImageStatus(
        self, request: cri.ImageStatusRequest, context: Context
    ) -> cri.ImageStatusResponse:
        await self._called("ImageStatus", context)
        name = request.image.image
        if name in self.absent_images:
            return cri.ImageStatusResponse()
        return cri.ImageStatusResponse(image=cri.Image(id=name, repo_tags=[name], size=1))

    async def PullImage(
        self, request: cri.PullImageRequest, context: Context
    ) -> cri.PullImageResponse:
        await self._called("PullImage", context)
        name = request.image.image
        if name in self.absent_images:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"image {name} is not known")
        return cri.PullImageResponse(image_ref=name)

    # What the calls share.

    async def _called(self, call: str, context: Context) -> None:
        self.calls[call] += 1
        if call in self._refusals:
            await context.abort(*self._refusals[call])

    async def _find(
        self, container_id: str, context: Context
    ) -> tuple[MemorySandbox, MemoryContainer]:
        for sandbox in self.sandboxes.values():
            if container_id in sandbox.containers:
                return sandbox, sandbox.containers[container_id]
        await context.abort(grpc.StatusCode.NOT_FOUND, f"no container {container_id}")
        raise AssertionError("abort does not return")

    def _sandbox_of(self, container_id: str) -> MemorySandbox:
        return next(s for s in self.sandboxes.values() if container_id in s.containers)

    def _stop_sandbox(self, sandbox: MemorySandbox, code: int) -> None:
        for container in sandbox.containers.values():
            self._end(sandbox, container, code)
        sandbox.status.state = cri.SANDBOX_NOTREADY
        sandbox.status.network.Clear()
        self._tell(sandbox, sandbox.id, cri.CONTAINER_STOPPED_EVENT)

    def _end(self, sandbox: MemorySandbox, container: MemoryContainer, code: int) -> None:
        if container.status.state != cri.CONTAINER_RUNNING:
            return
        container.status.state = cri.CONTAINER_EXITED
        container.status.finished_at = self._now()
        container.status.exit_code = code
        container.status.reason = "Error" if code else "Completed"
        container.ended.set()
        self._tell(sandbox, container.id, cri.CONTAINER_STOPPED_EVENT)

    def _tell(
        self, sandbox: MemorySandbox, about: str, kind: "cri.ContainerEventType.ValueType"
    ) -> None:
        event = cri.ContainerEventResponse(
            container_id=about,
            container_event_type=kind,
            created_at=self._now(),
            pod_sandbox_status=sandbox.status,
            containers_statuses=[each.status for each in sandbox.containers.values()],
        )
        for reader in self._readers:
            reader.put_nowait(event)

    def _now(self) -> int:
        """Nanoseconds since the epoch, never the same twice."""
        self._last_time = max(self._last_time + 1, int(self._clock() * 1e9))
        return self._last_time
