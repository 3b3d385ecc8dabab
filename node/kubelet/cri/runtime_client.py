"""The container runtime behind its CRI socket: calls in the kubelet's own terms.

Nothing is decided here and nothing is tried again. Every failed call raises RuntimeCallError.
"""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import grpc.aio
import orjson

from podling.aiokit.clock import WallClock
from podling.node.cripb import api_pb2 as cri
from podling.node.cripb import api_pb2_grpc
from podling.node.kubelet.cri import cri_values
from podling.node.kubelet.cri.runtime_cache import Snapshot

CRI_VERSION = "v1"
MAX_MESSAGE = 32 * 1024 * 1024
"""Bytes: two outputs of ExecSync at their limit."""
STOP_MARGIN = 15.0
"""Seconds that stopping a container may take beyond its grace period."""

T = TypeVar("T")


class RuntimeCallError(Exception):
    """The runtime refused a call, or did not answer; the text is the runtime's."""

    def __init__(self, call: str, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text or code.name)
        self.call = call
        self.code = code

    @property
    def not_found(self) -> bool:
        return self.code is grpc.StatusCode.NOT_FOUND


@dataclass(frozen=True, slots=True)
class RuntimeConditions:
    """What the runtime says about itself."""

    ready: bool
    network_ready: bool
    message: str
    """For people: why it is not ready."""
    capabilities: dict[str, Any]
    """What this node can do for a pod; empty if the runtime does not say."""


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """Something happened to a sandbox or one of its containers."""

    snapshot: Snapshot
    sandbox_removed: bool


class RuntimeClient:
    """One connection to one runtime."""

    def __init__(self, socket: str, clock: WallClock, *, call_timeout: float = 10.0) -> None:
        """`socket` is a path; `call_timeout` in seconds, for calls that do not wait for a pod."""
        self._clock = clock
        self._timeout = call_timeout
        self._channel = grpc.aio.insecure_channel(
            f"unix:{socket}",
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE),
                ("grpc.initial_reconnect_backoff_ms", 50),
                ("grpc.min_reconnect_backoff_ms", 50),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )
        self._runtime = api_pb2_grpc.RuntimeServiceStub(self._channel)
        self._images = api_pb2_grpc.ImageServiceStub(self._channel)

    async def close(self) -> None:
        await self._channel.close()

    async def version(self) -> tuple[str, str]:
        """(name, version) of the runtime; waits until it answers."""
        call = self._runtime.Version(
            cri.VersionRequest(version=CRI_VERSION), timeout=self._timeout, wait_for_ready=True
        )
        answer = await _checked("Version", call)
        return answer.runtime_name, answer.runtime_version

    async def conditions(self) -> RuntimeConditions:
        request = cri.StatusRequest(verbose=True)
        answer = await _checked("Status", self._runtime.Status(request, timeout=self._timeout))
        states = {condition.type: condition for condition in answer.status.conditions}
        troubles = [f"{c.reason}: {c.message}" for c in states.values() if not c.status]
        return RuntimeConditions(
            ready="RuntimeReady" in states and states["RuntimeReady"].status,
            network_ready="NetworkReady" in states and states["NetworkReady"].status,
            message="; ".join(troubles),
            capabilities=_json_object(answer.info.get("capabilities", "")),
        )

    async def set_pod_cidrs(self, cidrs: Sequence[str]) -> None:
        """Tell the node's range of pod addresses; a runtime that wants none may not know this."""
        network = cri.NetworkConfig(pod_cidr=",".join(cidrs))
        request = cri.UpdateRuntimeConfigRequest(
            runtime_config=cri.RuntimeConfig(network_config=network)
        )
        try:
            await _checked(
                "UpdateRuntimeConfig",
                self._runtime.UpdateRuntimeConfig(request, timeout=self._timeout),
            )
        except RuntimeCallError as error:
            if error.code is not grpc.StatusCode.UNIMPLEMENTED:
                raise

    async def run_sandbox(self, config: cri.PodSandboxConfig) -> str:
        """Make a sandbox; returns its id."""
        request = cri.RunPodSandboxRequest(config=config)
        answer = await _checked(
            "RunPodSandbox", self._runtime.RunPodSandbox(request, timeout=60 + self._timeout)
        )
        return answer.pod_sandbox_id

    async def snapshot(self, sandbox_id: str) -> Snapshot | None:
        """The sandbox and its containers as they are now; None if it is unknown."""
        asked_at = int(self._clock() * 1e9)
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        try:
            answer = await _checked(
                "PodSandboxStatus", self._runtime.PodSandboxStatus(request, timeout=self._timeout)
            )
        except RuntimeCallError as error:
            if error.not_found:
                return None
            raise
        if answer.timestamp:
            return cri_values.snapshot(answer.status, answer.containers_statuses, answer.timestamp)
        # Runtimes without events (older containerd) do not add the containers.
        containers = await self._container_statuses(sandbox_id)
        return cri_values.snapshot(answer.status, containers, asked_at)

    async def _container_statuses(self, sandbox_id: str) -> list[cri.ContainerStatus]:
        request = cri.ListContainersRequest(filter=cri.ContainerFilter(pod_sandbox_id=sandbox_id))
        listed = await _checked(
            "ListContainers", self._runtime.ListContainers(request, timeout=self._timeout)
        )
        statuses = []
        for container in listed.containers:
            one = cri.ContainerStatusRequest(container_id=container.id)
            answer = await _checked(
                "ContainerStatus", self._runtime.ContainerStatus(one, timeout=self._timeout)
            )
            statuses.append(answer.status)
        return statuses

    async def list_sandboxes(self) -> list[str]:
        """The ids of all sandboxes."""
        answer = await _checked(
            "ListPodSandbox",
            self._runtime.ListPodSandbox(cri.ListPodSandboxRequest(), timeout=self._timeout),
        )
        return [item.id for item in answer.items]

    async def stop_sandbox(self, sandbox_id: str) -> None:
        request = cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
        await _checked(
            "StopPodSandbox", self._runtime.StopPodSandbox(request, timeout=self._timeout)
        )

    async def remove_sandbox(self, sandbox_id: str) -> None:
        request = cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
        await _checked(
            "RemovePodSandbox", self._runtime.RemovePodSandbox(request, timeout=self._timeout)
        )

    async def image_ref(self, image: str) -> str:
        """The id of an image that is present; empty if it is not."""
        request = cri.ImageStatusRequest(image=_image(image))
        answer = await _checked(
            "ImageStatus", self._images.ImageStatus(request, timeout=self._timeout)
        )
        return answer.image.id if answer.HasField("image") else ""

    async def pull_image(self, image: str, sandbox: cri.PodSandboxConfig) -> str:
        """Fetch an image, however long that takes; returns its id."""
        request = cri.PullImageRequest(image=_image(image), sandbox_config=sandbox)
        return (await _checked("PullImage", self._images.PullImage(request))).image_ref

    async def create_container(
        self, sandbox_id: str, config: cri.ContainerConfig, sandbox: cri.PodSandboxConfig
    ) -> str:
        """Returns the id of the new container, which does not run yet."""
        request = cri.CreateContainerRequest(
            pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox
        )
        answer = await _checked(
            "CreateContainer", self._runtime.CreateContainer(request, timeout=self._timeout)
        )
        return answer.container_id

    async def start_container(self, container_id: str) -> None:
        request = cri.StartContainerRequest(container_id=container_id)
        await _checked(
            "StartContainer", self._runtime.StartContainer(request, timeout=self._timeout)
        )

    async def stop_container(self, container_id: str, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; returns when it has ended."""
        request = cri.StopContainerRequest(container_id=container_id, timeout=math.ceil(grace))
        call = self._runtime.StopContainer(request, timeout=grace + STOP_MARGIN)
        await _checked("StopContainer", call)

    async def remove_container(self, container_id: str) -> None:
        request = cri.RemoveContainerRequest(container_id=container_id)
        await _checked(
            "RemoveContainer", self._runtime.RemoveContainer(request, timeout=self._timeout)
        )

    async def execute(
        self, container_id: str, command: Sequence[str], timeout: float
    ) -> tuple[int, bytes]:
        """Run a command in a container; returns (exit code, output). 0 seconds: no limit."""
        request = cri.ExecSyncRequest(
            container_id=container_id, cmd=command, timeout=max(1, round(timeout)) if timeout else 0
        )
        deadline = timeout + STOP_MARGIN if timeout else None
        answer = await _checked("ExecSync", self._runtime.ExecSync(request, timeout=deadline))
        return answer.exit_code, answer.stdout + answer.stderr

    async def events(self, connected: Callable[[], None]) -> AsyncGenerator[RuntimeEvent, None]:
        """What happens after `connected` is called; RuntimeCallError when the runtime goes away."""
        stream = self._runtime.GetContainerEvents(cri.GetEventsRequest(), wait_for_ready=True)
        try:
            await stream.initial_metadata()
            connected()
            async for event in stream:
                yield _event(event)
        except grpc.aio.AioRpcError as error:
            raise _translated("GetContainerEvents", error) from None
        finally:
            stream.cancel()


def _event(event: cri.ContainerEventResponse) -> RuntimeEvent:
    status = event.pod_sandbox_status
    removed = (
        event.container_event_type == cri.CONTAINER_DELETED_EVENT
        and event.container_id == status.id
    )
    snapshot = cri_values.snapshot(status, event.containers_statuses, event.created_at)
    return RuntimeEvent(snapshot, removed)


async def _checked(call: str, pending: Awaitable[T]) -> T:
    try:
        return await pending
    except grpc.aio.AioRpcError as error:
        raise _translated(call, error) from None


def _translated(call: str, error: grpc.aio.AioRpcError) -> RuntimeCallError:
    return RuntimeCallError(call, error.code(), error.details() or "")


def _image(name: str) -> cri.ImageSpec:
    return cri.ImageSpec(image=name, user_specified_image=name)


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text) if text else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
