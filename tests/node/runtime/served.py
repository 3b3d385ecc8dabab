"""A CRI server on a real socket, with a client as a kubelet has it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc.aio

from podling.aiokit.clock import system_wall_clock
from podling.aiokit.ids import random_uuid, system_dice
from podling.node.cripb import api_pb2 as cri
from podling.node.cripb import api_pb2_grpc
from podling.node.runtime.cri.pod_network import LoopbackNetwork
from podling.node.runtime.cri.runtime_server import RuntimeConfig, RuntimeServer
from tests.node.runtime.launched import PATH, LauncherProcess
from tests.waiting import until

CIDR = "127.1.65.0/24"
"""In no cluster's network: those of clusters that tests make begin at 127.2."""


class Node:
    """A launcher, a CRI server in this process, and a channel to it."""

    def __init__(self, folder: Path, launcher: LauncherProcess) -> None:
        self.folder = folder
        self.launcher = launcher
        self.events: list[cri.ContainerEventResponse] = []
        self.server: RuntimeServer | None = None

    async def start(self, **values: Any) -> None:
        config = RuntimeConfig(
            socket_path=self.folder / "cri.sock",
            state_dir=self.folder / "runtime",
            launcher_socket=self.launcher.socket,
            **{"environment": {"PATH": PATH}, "images": {"shop/web": ["sleep", "60"]}, **values},
        )
        self.server = RuntimeServer(
            config, LoopbackNetwork([CIDR]), system_wall_clock, random_uuid, system_dice()
        )
        await self.server.start()
        self._channel = grpc.aio.insecure_channel(
            f"unix:{config.socket_path}",
            options=[
                ("grpc.max_receive_message_length", 64 << 20),
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )
        self.cri = api_pb2_grpc.RuntimeServiceStub(self._channel)
        self.images = api_pb2_grpc.ImageServiceStub(self._channel)
        self._call = self.cri.GetContainerEvents(cri.GetEventsRequest())
        await self._call.initial_metadata()
        self._reader = asyncio.ensure_future(self._read())  # noqa: TID251 - ended in stop

    async def stop(self) -> None:
        if self.server is None:
            return
        self._call.cancel()
        await asyncio.wait([self._reader])
        await self._channel.close()
        await self.server.stop()
        self.server = None

    async def sandbox(self, name: str = "web", **values: Any) -> str:
        response = await self.cri.RunPodSandbox(
            cri.RunPodSandboxRequest(config=pod(name, self.folder, **values))
        )
        return response.pod_sandbox_id

    async def create(self, sandbox_id: str, *command: str, **values: Any) -> str:
        values.setdefault("metadata", cri.ContainerMetadata(name="main"))
        values.setdefault("image", cri.ImageSpec(image="example.com/app:1"))
        values.setdefault("log_path", "main/0.log")
        config = cri.ContainerConfig(command=command, **values)
        response = await self.cri.CreateContainer(
            cri.CreateContainerRequest(pod_sandbox_id=sandbox_id, config=config)
        )
        return response.container_id

    async def start_container(self, container_id: str) -> None:
        await self.cri.StartContainer(cri.StartContainerRequest(container_id=container_id))

    async def run(self, *command: str, name: str = "web", **values: Any) -> str:
        """A container in a sandbox of its own, started."""
        container_id = await self.create(await self.sandbox(name), *command, **values)
        await self.start_container(container_id)
        return container_id

    async def status(self, container_id: str) -> cri.ContainerStatus:
        response = await self.cri.ContainerStatus(
            cri.ContainerStatusRequest(container_id=container_id)
        )
        return response.status

    async def ended(self, container_id: str) -> cri.ContainerStatus:
        """Wait for the event that tells the end."""
        await until(lambda: ("STOPPED", container_id) in self.seen(), f"the end of {container_id}")
        return await self.status(container_id)

    def seen(self) -> list[tuple[str, str]]:
        return [
            (
                cri.ContainerEventType.Name(event.container_event_type).split("_")[1],
                event.container_id,
            )
            for event in self.events
        ]

    def log(self) -> str:
        """The text of the container's log, without its stamps."""
        path = self.folder / "logs" / "main" / "0.log"
        return "".join(line.split(" ", 3)[3] for line in path.read_text().splitlines(True))

    async def _read(self) -> None:
        try:
            async for event in self._call:
                self.events.append(event)
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass


def pod(
    name: str, folder: Path, labels: Mapping[str, str] | None = None, **values: Any
) -> cri.PodSandboxConfig:
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(name=name, uid=f"uid-{name}", namespace="default"),
        hostname=name,
        log_directory=str(folder / "logs"),
        labels=labels or {},
        **values,
    )
