"""Wiring: which controllers run. They run where the leader is, and their caches everywhere.

    elector = LeaderElector(client, election, manager.lead, wall_clock=clock)

Standbys keep the caches warm (`start` asks the informer factory for every kind), so that a new
leader acts at once. Each term begins with new controllers: nothing that was expected or remembered
in an earlier term is held true.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from podling.aiokit.components import Component
from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.deployment import DeploymentController
from podling.controlplane.controllers.endpointslice import EndpointSliceController
from podling.controlplane.controllers.garbage import GarbageCollector
from podling.controlplane.controllers.namespace import NamespaceController
from podling.controlplane.controllers.namespace_contents import NamespaceContentsController
from podling.controlplane.controllers.node_ipam import NodeIpamController, Range
from podling.controlplane.controllers.node_lifecycle import NodeLifecycleController
from podling.controlplane.controllers.pod_gc import PodGcController
from podling.controlplane.controllers.replicaset import ReplicaSetController
from podling.controlplane.controllers.taint_eviction import TaintEvictionController
from podling.kube import kinds
from podling.kube.kinds import Kind

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ControllerConfig:
    """Named after kube-controller-manager's flags; all times in seconds."""

    cluster_cidr: str
    """The range that nodes' pod networks are cut from, such as `127.7.64.0/18`."""
    node_cidr_mask_size: int = 24
    """Length of the prefix of one node's network."""
    node_monitor_grace_period: float = 50.0
    """How long a node may be silent before it counts as unreachable."""
    root_ca: str = ""
    """The certificate (PEM) that every namespace gets in `kube-root-ca.crt`; empty: none."""
    missing_node_quarantine: float = 40.0
    """How long the pods of a node that was deleted stay."""
    max_endpoints_per_slice: int = 100
    concurrent_syncs: int = 5
    """Keys that each controller works on at a time."""
    served: Sequence[Kind] = kinds.BUILT_IN
    """What namespace deletion and garbage collection look after."""


class ControllerManager:
    """`start` warms the caches; `lead` runs the controllers until it is cancelled."""

    name = "controllers"

    def __init__(self, config: ControllerConfig, context: ControllerContext) -> None:
        self._config = config
        self._context = context
        # A range that cannot be cut is found out at once, rather than by the first leader.
        self._range = Range(config.cluster_cidr, config.node_cidr_mask_size)

    async def start(self) -> None:
        """Returns at once; the informer factory itself is started by its owner."""
        self._build()

    async def stop(self) -> None:
        """Nothing is held: controllers end with `lead`, informers with their factory."""

    async def lead(self) -> None:
        """Be the one that acts; returns only by being cancelled."""
        controllers = self._build()
        await self._context.informers.wait_synced()
        started: list[Component] = []
        try:
            for controller in controllers:
                started.append(controller)
                await controller.start()
            await asyncio.get_running_loop().create_future()
        finally:
            for controller in reversed(started):
                await controller.stop()

    def _build(self) -> list[Component]:
        """In the order of starting: what others wait for comes first."""
        config, context = self._config, self._context
        workers = config.concurrent_syncs
        return [
            NodeIpamController(context, self._range),
            NamespaceContentsController(context, workers, config.root_ca),
            NodeLifecycleController(context, workers, config.node_monitor_grace_period),
            ReplicaSetController(context, workers),
            DeploymentController(context, workers),
            EndpointSliceController(context, workers, config.max_endpoints_per_slice),
            TaintEvictionController(context, workers),
            PodGcController(context, workers, config.missing_node_quarantine),
            NamespaceController(context, workers, config.served),
            GarbageCollector(context, workers, config.served),
        ]
