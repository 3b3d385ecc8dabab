"""One API server: its core, its HTTPS server, its client of node agents."""

import asyncio
import logging
from dataclasses import dataclass
from random import Random

from prometheus_client import CollectorRegistry

from podling.aiokit.clock import WallClock
from podling.aiokit.ids import IdSource
from podling.aiokit.tasks import OnDeath
from podling.controlplane.apiserver.api_core import ApiCore, ApiCoreConfig, World
from podling.controlplane.apiserver.rest.http_server import HttpServer, HttpServerConfig
from podling.controlplane.apiserver.rest.kubelet_logs import KubeletClientFiles, KubeletLogs
from podling.controlplane.apiserver.rest.paths import State
from podling.controlplane.apiserver.storage.interface import Storage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ApiServerConfig:
    """Everything that is chosen outside."""

    core: ApiCoreConfig
    http: HttpServerConfig
    kubelet_client: KubeletClientFiles | None
    """How it makes itself known to node agents; None: over plain HTTP, as nobody."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is outside of the process's components."""

    clock: WallClock
    ids: IdSource
    dice: Random
    metrics: CollectorRegistry
    on_death: OnDeath
    state: State = dict
    """What else the process has to tell at /debug/state."""


class ApiServer:
    """Component: listens when `start` returns; ready as soon as the store can be read and written.

    `core` is there from the beginning, for other faces of the same server: `core.face.handle`
    answers requests without a network.
    """

    name = "apiserver"

    def __init__(
        self, config: ApiServerConfig, storage: Storage, surroundings: Surroundings
    ) -> None:
        self._logs = KubeletLogs(config.kubelet_client)
        world = World(
            surroundings.clock,
            surroundings.ids,
            surroundings.dice,
            surroundings.metrics,
            self._logs,
            surroundings.on_death,
            surroundings.state,
        )
        self.core = ApiCore(config.core, storage, world)
        self.http = HttpServer(config.http, self.core.face.handle)

    async def start(self) -> None:
        await self._logs.start()
        # Nobody is sent here before somebody listens.
        await self.http.start()
        await self.core.start()

    async def stop(self) -> None:
        """Send nobody here, end watches, let requests finish, then give everything back."""
        await self.core.withdraw()
        self.core.end_watches()
        # Watches end in their own tasks, which write the end of their answers.
        await asyncio.sleep(0)
        await self.http.stop()
        await self._logs.stop()
        await self.core.stop()
