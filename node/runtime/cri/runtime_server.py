"""Wiring of the CRI server: a component of the node agent's process."""

import logging
import os
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio

from podling.aiokit.clock import WallClock
from podling.aiokit.ids import IdSource
from podling.aiokit.tasks import TaskSet
from podling.node.runtime.cri import rpc
from podling.node.runtime.cri.container_calls import ContainerCalls
from podling.node.runtime.cri.events import EventStream
from podling.node.runtime.cri.image_calls import ImageCalls
from podling.node.runtime.cri.images import ImageTable
from podling.node.runtime.cri.launcher_client import LauncherClient, LauncherGone
from podling.node.runtime.cri.node_calls import NodeCalls
from podling.node.runtime.cri.pod_network import PodNetwork
from podling.node.runtime.cri.pod_table import PodTable
from podling.node.runtime.cri.record_files import RecordFiles
from podling.node.runtime.cri.sandbox_calls import SandboxCalls
from podling.node.runtime.cri.stats_calls import StatsCalls
from podling.node.runtime.launcher.protocol import LauncherError, ProcessRecord
from podling.node.runtime.launcher.server import SOCKET_PATH_LIMIT

log = logging.getLogger(__name__)

MESSAGE_LIMIT = 40 * 1024 * 1024
"""Bytes of one message: an exec answer with 16 MiB of each output. Clients that want those raise
`grpc.max_receive_message_length` too; upstream's kubelet takes 16 MiB."""

STOP_GRACE = 1.0
"""Seconds that calls under way get when the server stops."""


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """One node's CRI server."""

    socket_path: Path
    """Where it serves CRI; at most 107 bytes, in a folder that exists."""
    state_dir: Path
    """Its records, and the pods' own folders; made if missing."""
    launcher_socket: Path
    """`LauncherConfig.socket_path` of the node's launcher."""
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Image names, with or without tag, to commands with their arguments."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What every container has, such as `PATH`; its own variables win."""
    launcher_timeout: float = 5.0
    """Seconds to wait for the launcher when starting."""


class RuntimeServer:
    """Serves CRI v1. May be stopped and started at any time: containers run on meanwhile."""

    name = "runtime"

    def __init__(
        self,
        config: RuntimeConfig,
        network: PodNetwork,
        wall_clock: WallClock,
        ids: IdSource,
        dice: random.Random,
    ) -> None:
        self._config = config
        self._network = network
        self._ids = ids
        self._events = EventStream()
        self._table = PodTable(RecordFiles(config.state_dir), self._events, wall_clock)
        self._launcher = LauncherClient(
            config.launcher_socket, dice, self._snapshot, self._table.set_process
        )
        self._tasks = TaskSet("runtime")
        self._remover: ThreadPoolExecutor | None = None
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Raises StateError if a record is damaged, LauncherGone if there is no launcher, OSError
        if the socket cannot be had."""
        path = self._config.socket_path
        if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
            raise OSError(f"socket path {path} is longer than {SOCKET_PATH_LIMIT} bytes")
        self._table.load()
        self._network.restore({record.id: record.addresses for record in self._table.sandboxes()})
        await self._launcher.start(self._config.launcher_timeout)
        # Threads start with the first folder to remove, not before.
        self._remover = ThreadPoolExecutor(1, thread_name_prefix="runtime-remover")
        self._server = self._serve(self._remover)
        before = os.umask(0o177)
        try:
            bound = self._server.add_insecure_port(f"unix:{path}")
        finally:
            os.umask(before)
        if not bound:
            raise OSError(f"cannot serve CRI at {path}")
        await self._server.start()

    async def stop(self) -> None:
        self._events.close()
        if self._server is not None:
            await self._server.stop(STOP_GRACE)
        await self._tasks.close()
        await self._launcher.stop()
        if self._remover is not None:
            self._remover.shutdown(wait=True, cancel_futures=False)
        self._config.socket_path.unlink(missing_ok=True)

    def _serve(self, remover: ThreadPoolExecutor) -> grpc.aio.Server:
        table = self._table
        image_table = ImageTable(self._config.images)
        containers = ContainerCalls(
            table, self._launcher, image_table, self._ids, self._config.environment
        )
        sandboxes = SandboxCalls(table, self._network, containers, self._ids, remover)
        sandboxes.clean_up()
        calls = [
            *NodeCalls(self._launcher, self._network).unary(),
            *sandboxes.unary(),
            *containers.unary(),
            *StatsCalls(table).unary(),
        ]
        server: grpc.aio.Server = grpc.aio.server(
            options=[
                ("grpc.max_send_message_length", MESSAGE_LIMIT),
                ("grpc.max_receive_message_length", MESSAGE_LIMIT),
            ]
        )
        server.add_generic_rpc_handlers(
            (
                rpc.runtime_service(calls, self._events, self._tasks),
                rpc.image_service(ImageCalls(table, image_table).unary(), self._tasks),
            )
        )
        return server

    def _snapshot(self, processes: list[ProcessRecord]) -> None:
        for process_id in self._table.set_processes(processes):
            # Its record went while the launcher was away: nobody will ever ask for it.
            self._tasks.spawn(self._drop_process(process_id), name="drop-process")

    async def _drop_process(self, process_id: str) -> None:
        log.warning("ending process %s, which belongs to no container", process_id)
        try:
            await self._launcher.stop_process(process_id, 9, 0)
            await self._launcher.forget(process_id)
        except (LauncherError, LauncherGone) as error:
            log.error("process %s is left: %s", process_id, error)
