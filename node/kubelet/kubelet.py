"""Wiring of one kubelet.

Starting, in this order, each step when the one before is done: the runtime answers and is listed;
the Node is registered and its lease renewed; the node knows its range of pod addresses and tells
the runtime; the node API listens; the node is Ready and pods are worked on. `start` returns when
the runtime is there: the rest waits for an API server, which may be started later.

Stopping lets go of everything: pods keep running and the Node stays registered. A kubelet that
starts again finds its pods in the runtime and goes on with them.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from random import Random

from prometheus_client import CollectorRegistry

from podling.aiokit.backoff import Backoff
from podling.aiokit.clock import WallClock
from podling.aiokit.tasks import OnDeath, TaskSet
from podling.kube import kinds, meta
from podling.kube.client import Client
from podling.kube.event_recorder import EventRecorder
from podling.kube.informer import InformerFactory
from podling.kube.meta import Object
from podling.node.kubelet.containers import service_environment
from podling.node.kubelet.containers.container_config import DnsDefaults
from podling.node.kubelet.containers.node_facts import NodeFacts
from podling.node.kubelet.cri.runtime_cache import RuntimeCache
from podling.node.kubelet.cri.runtime_client import RuntimeCallError, RuntimeClient
from podling.node.kubelet.cri.runtime_events import RuntimeEvents
from podling.node.kubelet.logs.container_logs import ContainerLogs
from podling.node.kubelet.node_api import NodeApi, NodeApiConfig
from podling.node.kubelet.planning.restart_policy import DelayRange
from podling.node.kubelet.pods.pod_actions import NodeTools
from podling.node.kubelet.pods.pod_worker import WorkerSettings
from podling.node.kubelet.pods.pod_workers import PodWorkers
from podling.node.kubelet.pods.status_manager import StatusManager
from podling.node.kubelet.probes.prober import Prober
from podling.node.kubelet.registration import machine, node_object
from podling.node.kubelet.registration.node_lease import NodeLease
from podling.node.kubelet.registration.node_object import READY, NodeReport, Readiness
from podling.node.kubelet.registration.node_status import NodeStatus
from podling.node.kubelet.volumes.object_source import ObjectSource
from podling.node.kubelet.volumes.volumes import Volumes

log = logging.getLogger(__name__)

BY_NAMESPACE = "kubelet/namespace"
"""Index of services."""


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    """Everything one kubelet is told. Times in seconds; defaults are upstream's."""

    node_name: str
    runtime_socket: str
    """Path of the CRI socket."""
    root_directory: Path
    """Holds the pods' volumes."""
    log_directory: Path
    """Holds the pods' logs."""
    server_certificate: Path
    server_key: Path
    client_authority: Path
    """Signs the certificates of those who may ask the node API."""
    addresses: tuple[str, ...] = ()
    """The node's own. Empty: the first address of each of its pod ranges."""
    port: int = 10250
    """Of the node API; 0: any free one."""
    cluster_dns: tuple[str, ...] = ()
    """What pods ask for names. Empty: the node's own addresses."""
    cluster_dns_port: int = 53
    """Where DNS listens elsewhere, no resolver file can name it: pods are told so by an Event."""
    cluster_domain: str = "cluster.local"
    labels: Mapping[str, str] = field(default_factory=dict)
    capacity: Mapping[str, str] = field(default_factory=dict)
    """Amounts that replace those of the machine, such as `cpu: "4"`."""
    max_pods: int = 110
    version: str = "v1.37.0"
    """kubeletVersion, as `kubectl get nodes` shows it."""
    lease_duration: float = 40.0
    lease_renew_interval: float = 10.0
    status_interval: float = 300.0
    """Between two reports in which nothing changed."""
    crash_loop: DelayRange = DelayRange()  # noqa: RUF009 - frozen
    relist_interval: float = 300.0
    runtime_check_interval: float = 5.0
    """Between two questions to the runtime whether it still works."""


class Kubelet:
    """A component: the node agent of one node."""

    name = "kubelet"

    def __init__(
        self,
        config: KubeletConfig,
        client: Client,
        informers: InformerFactory,
        clock: WallClock,
        dice: Random,
        on_death: OnDeath | None = None,
        metrics: CollectorRegistry | None = None,
    ) -> None:
        """`client` speaks as `system:node:NAME`; `informers` are started by whoever made them.

        `metrics` is the process's registry: it is added to, and served on the node API.
        """
        self._config = config
        self._clock = clock
        self._dice = dice
        self._tasks = TaskSet("kubelet", on_death)
        self._machine = machine.read(config.root_directory)
        self._readiness = Readiness(False, "KubeletNotReady", "the kubelet is starting")
        capacity = node_object.capacity(self._machine, config.max_pods, config.capacity)
        self._facts = NodeFacts(host_ips=config.addresses, allocatable=capacity)
        self._runtime_version = ""
        self._services = informers.informer(kinds.SERVICE)
        self._services.add_index(BY_NAMESPACE, lambda service: [meta.namespace(service)])

        self._runtime = RuntimeClient(config.runtime_socket, clock)
        self._cache = RuntimeCache()
        self._events = RuntimeEvents(
            self._runtime,
            self._cache,
            clock,
            Backoff(first=0.05, cap=5.0, dice=dice),
            self._runtime_changed,
            relist_interval=config.relist_interval,
        )
        self._recorder = EventRecorder(client, "kubelet", clock, host=config.node_name)
        self._status = StatusManager(client, dice)
        self._prober = Prober(self._runtime)
        self._objects = ObjectSource(client, dice)
        self._pods = PodWorkers(
            informers.informer(kinds.POD, field_selector=f"spec.nodeName={config.node_name}"),
            self._worker_settings(),
        )
        self._logs = ContainerLogs(self._pods.pod, self._cache, clock)
        self._api = NodeApi(self._api_config(), self._logs, self._pods.pods, metrics)
        self._node = NodeStatus(
            client,
            informers.informer(kinds.NODE, field_selector=f"metadata.name={config.node_name}"),
            self._report,
            clock,
            dice,
            extra_labels=dict(config.labels),
            interval=config.status_interval,
        )
        self._lease = NodeLease(
            client,
            config.node_name,
            clock,
            duration=config.lease_duration,
            interval=config.lease_renew_interval,
        )
        self.ready = asyncio.Event()
        """Set when the node is Ready and works on pods."""

    @property
    def port(self) -> int:
        """Of the node API, once `ready`."""
        return self._api.port

    async def start(self) -> None:
        """Returns when the runtime is there; see above for the rest."""
        name, version = await self._runtime.version()
        self._facts.runtime_name = name
        self._runtime_version = f"{name}://{version}"
        await self._prober.start()
        await self._events.start()
        await self._recorder.start()
        await self._status.start()
        await self._node.start()
        self._tasks.spawn(self._become_ready(), name="become-ready")

    async def stop(self) -> None:
        await self._tasks.close()
        await self._lease.stop()
        await self._api.stop()
        await self._pods.stop()
        await self._node.stop()
        await self._status.stop()
        await self._recorder.stop()
        await self._objects.stop()
        await self._events.stop()
        await self._prober.stop()
        await self._runtime.close()

    async def _become_ready(self) -> None:
        await self._node.registered.wait()
        await self._lease.start(self._node.uid, lambda: self._node.exists)
        if not self._node.addressed.is_set():
            self._not_ready("no range of pod addresses yet (spec.podCIDR): no controller gave one")
        await self._node.addressed.wait()
        self._take_addresses()
        await self._bring_network_up()
        await self._services.wait_synced()
        await self._pods.start()
        self._is_ready()
        self.ready.set()
        await self._follow_runtime()

    async def _follow_runtime(self) -> None:
        """A node whose runtime fails is not Ready, so that its pods are replaced elsewhere."""
        while True:
            await asyncio.sleep(self._config.runtime_check_interval)
            try:
                conditions = await self._runtime.conditions()
                works = conditions.ready and conditions.network_ready
                trouble = "" if works else conditions.message or "it is not ready"
            except RuntimeCallError as error:
                trouble = str(error)
            message = f"the container runtime does not work: {trouble}" if trouble else ""
            if trouble and self._readiness.message != message:
                self._not_ready(message)
            elif not trouble and self._readiness is not READY:
                self._is_ready()

    def _is_ready(self) -> None:
        log.info("node %s is ready", self._config.node_name)
        self._readiness = READY
        self._node.changed()

    async def _bring_network_up(self) -> None:
        backoff = Backoff(first=0.1, cap=5.0, dice=self._dice)
        up = await self._network_is_up()
        while not up:
            await asyncio.sleep(backoff.next())
            up = await self._network_is_up()

    def _take_addresses(self) -> None:
        cidrs = self._node.pod_cidrs
        first = tuple(str(next(iter(ip_network(cidr).hosts()))) for cidr in cidrs)
        self._facts.host_ips = self._config.addresses or first
        servers = self._config.cluster_dns or self._facts.host_ips
        self._facts.dns = DnsDefaults(
            servers, self._config.cluster_domain, self._config.cluster_dns_port
        )

    async def _network_is_up(self) -> bool:
        """Tell the runtime its addresses, listen on the node's; False says why in the status."""
        try:
            await self._runtime.set_pod_cidrs(self._node.pod_cidrs)
            conditions = await self._runtime.conditions()
            if not (conditions.ready and conditions.network_ready):
                self._not_ready(conditions.message or "the container runtime is not ready")
                return False
            self._facts.capabilities = conditions.capabilities
            await self._api.start(self._facts.host_ips[0])
        except RuntimeCallError as error:
            self._not_ready(f"the container runtime refused {error.call}: {error}")
            return False
        except OSError as error:
            where = f"{self._facts.host_ips[0]}:{self._config.port}"
            self._not_ready(f"the node API cannot listen on {where}: {error}")
            await self._api.stop()
            return False
        return True

    def _not_ready(self, message: str) -> None:
        log.info("node %s is not ready: %s", self._config.node_name, message)
        self._readiness = Readiness(False, "KubeletNotReady", message)
        self._node.changed()

    def _report(self) -> NodeReport:
        return NodeReport(
            name=self._config.node_name,
            machine=self._machine,
            capacity=self._facts.allocatable,
            allocatable=self._facts.allocatable,
            addresses=self._facts.host_ips,
            port=self._api.port,
            runtime=self._runtime_version,
            version=self._config.version,
            readiness=self._readiness,
        )

    def _runtime_changed(self, uid: str) -> None:
        self._pods.runtime_changed(uid)
        self._logs.runtime_changed(uid)

    def _service_variables(self, pod: Object) -> dict[str, str]:
        namespace = meta.namespace(pod)
        links = pod["spec"].get("enableServiceLinks", True)
        return service_environment.variables(
            self._services.by_index(BY_NAMESPACE, namespace) if links else [],
            namespace,
            links=links,
            api_server=self._services.get("default/kubernetes"),
        )

    def _worker_settings(self) -> WorkerSettings:
        tools = NodeTools(
            runtime=self._runtime,
            events=self._events,
            prober=self._prober,
            volumes=Volumes(self._config.root_directory),
            objects=self._objects,
            service_variables=self._service_variables,
            recorder=self._recorder,
            facts=self._facts,
            clock=self._clock,
            log_directory=self._config.log_directory,
        )
        return WorkerSettings(tools, self._cache, self._status, self._config.crash_loop)

    def _api_config(self) -> NodeApiConfig:
        return NodeApiConfig(
            certificate=self._config.server_certificate,
            key=self._config.server_key,
            client_authority=self._config.client_authority,
            port=self._config.port,
        )
