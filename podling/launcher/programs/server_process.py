"""The process of one replica: store, API server, and, if it leads, scheduler and controllers."""

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, ProcessCollector

from podling import __version__
from podling.aiokit import components, ids
from podling.aiokit.clock import system_wall_clock
from podling.aiokit.collector import ScheduledCollector
from podling.aiokit.components import Component, Stop
from podling.aiokit.loop_lag import LoopLag
from podling.controlplane.apiserver.api_core import ApiCoreConfig
from podling.controlplane.apiserver.api_server import ApiServer, ApiServerConfig, Surroundings
from podling.controlplane.apiserver.cluster_grpc.server import (
    ClusterReport,
    GrpcServer,
    GrpcServerConfig,
)
from podling.controlplane.apiserver.request.authn import AUTHENTICATED, User
from podling.controlplane.apiserver.rest.http_server import HttpServerConfig, TlsFiles
from podling.controlplane.apiserver.rest.kubelet_logs import KubeletClientFiles
from podling.controlplane.apiserver.server_leases.lease_keys import Endpoint
from podling.controlplane.apiserver.server_leases.own_lease import LeaseTimings
from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.manager import ControllerConfig, ControllerManager
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.errors import ReplicaError
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport, GrpcTransportConfig
from podling.controlplane.replica.peers.peer_security import PeerTls
from podling.controlplane.replica.transport import TransportError
from podling.controlplane.scheduler.scheduler import Scheduler, SchedulerConfig
from podling.controlplane.store.metrics import StoreMetrics
from podling.controlplane.store.store_server import StoreServer, StoreServerConfig
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.errors import DataDirectoryError
from podling.kube.client import Client
from podling.kube.event_recorder import EventRecorder
from podling.kube.informer import InformerFactory
from podling.kube.leader_election import LeaderElectionConfig, LeaderElector
from podling.launcher import credentials
from podling.launcher.cluster_file import Cluster, ReplicaEntry
from podling.launcher.layout import Layout
from podling.launcher.programs import cluster_report
from podling.launcher.programs.embedded_storage import EmbeddedStorage
from podling.launcher.programs.inprocess_transport import InProcessTransport
from podling.launcher.timings import PROFILES

SCHEDULER = User("system:kube-scheduler", (AUTHENTICATED,))
CONTROLLERS = User("system:kube-controller-manager", (AUTHENTICATED,))


async def serve(layout: Layout, cluster: Cluster, name: str, listener: int | None) -> int:
    """Run the replica until it is told to stop; `listener` is the shared API listener."""
    stop = Stop()
    entry = cluster.replica(name)
    metrics = CollectorRegistry()
    ProcessCollector(registry=metrics)
    store = _store(layout, cluster, entry, metrics, stop)
    server = _api_server(layout, cluster, entry, listener, store, metrics, stop)
    programs = _grpc_server(layout, cluster, entry, server, store)
    managers = Managers(layout, cluster, name, server, stop)
    parts: list[Component] = [
        LoopLag(metrics),
        store,
        server,
        programs,
        *managers.components(),
        ScheduledCollector(metrics),
    ]
    return await components.run(parts, stop, (DataDirectoryError, ReplicaError, TransportError))


def _store(
    layout: Layout, cluster: Cluster, entry: ReplicaEntry, registry: CollectorRegistry, stop: Stop
) -> StoreServer:
    timings = PROFILES[cluster.timings]
    config = ReplicaConfig(
        name=entry.name,
        member_id=entry.member_id,
        cluster_id=cluster.cluster_id,
        members={
            replica.member_id: Member(
                replica.name, (f"https://{replica.address}:{replica.peer_port}",)
            )
            for replica in cluster.replicas
        },
        data_dir=layout.data(entry.name),
        heartbeat_interval=timings.heartbeat_interval,
        election_timeout=timings.election_timeout,
    )
    dice = ids.system_dice()
    metrics = StoreMetrics(registry)
    server = StoreServer(
        StoreServerConfig(config),
        disk=OsDisk(metrics.synced),
        transport=GrpcTransport(_peers(layout, config), dice),
        dice=dice,
        new_id=ids.random_u64,
        fatal=stop.fail,
    )
    metrics.report(server.store)
    return server


def _peers(layout: Layout, config: ReplicaConfig) -> GrpcTransportConfig:
    tls = PeerTls.from_files(
        layout.certificate("ca"), layout.certificate(config.name), layout.key(config.name)
    )
    return GrpcTransportConfig(config.cluster_id, config.member_id, config.members, tls)


def _api_server(
    layout: Layout,
    cluster: Cluster,
    entry: ReplicaEntry,
    listener: int | None,
    store: StoreServer,
    metrics: CollectorRegistry,
    stop: Stop,
) -> ApiServer:
    timings = PROFILES[cluster.timings]
    toleration = round(timings.default_toleration)
    config = ApiServerConfig(
        core=ApiCoreConfig(
            podling_version=__version__,
            service_range=cluster.service_network,
            advertised=Endpoint(entry.address, entry.api_port),
            server_lease=LeaseTimings(withdrawal=timings.retry_period),
            not_ready_toleration_seconds=toleration,
            unreachable_toleration_seconds=toleration,
        ),
        http=HttpServerConfig(
            tls=_tls_files(layout, entry),
            address=entry.address,
            port=entry.api_port,
            listener_fd=listener,
        ),
        kubelet_client=KubeletClientFiles(
            str(layout.certificate(credentials.KUBELET_CLIENT)),
            str(layout.key(credentials.KUBELET_CLIENT)),
            str(layout.certificate("ca")),
        ),
    )
    surroundings = Surroundings(
        system_wall_clock,
        ids.random_uuid,
        ids.system_dice(),
        metrics,
        stop.fail,
        lambda: cluster_report.state(store.store.status()),
    )
    return ApiServer(config, EmbeddedStorage(store.store), surroundings)


def _grpc_server(
    layout: Layout, cluster: Cluster, entry: ReplicaEntry, server: ApiServer, store: StoreServer
) -> GrpcServer:
    async def report() -> ClusterReport:
        return cluster_report.cluster_report(cluster, store.replica.status())

    config = GrpcServerConfig(
        address=f"{entry.address}:{entry.grpc_port}",
        tls=_tls_files(layout, entry),
        podling_version=__version__,
    )
    return GrpcServer(config, server.core, report)


def _tls_files(layout: Layout, entry: ReplicaEntry) -> TlsFiles:
    return TlsFiles(
        certificate=str(layout.certificate(entry.name)),
        key=str(layout.key(entry.name)),
        client_ca=str(layout.certificate("ca")),
    )


class Managers:
    """Scheduler and controllers of one replica: both compete for their Lease, caches stay warm."""

    def __init__(
        self, layout: Layout, cluster: Cluster, identity: str, server: ApiServer, stop: Stop
    ) -> None:
        self._timings = PROFILES[cluster.timings]
        self._identity = identity
        self._server = server
        self._dice = ids.system_dice()
        self._scheduler_client = self._client(SCHEDULER)
        self._controller_client = self._client(CONTROLLERS)
        self._informers = InformerFactory(self._controller_client, self._dice, on_death=stop.fail)
        self._scheduler_events = self._recorder(self._scheduler_client, "default-scheduler")
        self._controller_events = self._recorder(self._controller_client, "controllers")
        self._controllers = self._controller_manager(layout, cluster)

    def components(self) -> list[Component]:
        """In the order in which they are started."""
        return [
            self._controllers,
            self._informers,
            self._scheduler_events,
            self._controller_events,
            self._elector("kube-scheduler", self._scheduler_client, self._schedule),
            self._elector(
                "kube-controller-manager", self._controller_client, self._controllers.lead
            ),
        ]

    def _client(self, user: User) -> Client:
        transport = InProcessTransport(self._server.core.face.handle, user)
        return Client(transport, user_agent=f"podling/{user.name}")

    def _recorder(self, client: Client, component: str) -> EventRecorder:
        return EventRecorder(client, component, system_wall_clock)

    def _controller_manager(self, layout: Layout, cluster: Cluster) -> ControllerManager:
        config = ControllerConfig(
            cluster_cidr=cluster.pod_network,
            node_monitor_grace_period=self._timings.node_monitor_grace_period,
            root_ca=layout.certificate("ca").read_text(),
        )
        context = ControllerContext(
            self._controller_client,
            self._informers,
            self._controller_events,
            system_wall_clock,
            self._dice,
        )
        return ControllerManager(config, context)

    def _elector(
        self, lease: str, client: Client, lead: Callable[[], Awaitable[None]]
    ) -> LeaderElector:
        config = LeaderElectionConfig(
            lease_name=lease,
            namespace="kube-system",
            identity=self._identity,
            lease_duration=self._timings.lease_duration,
            renew_deadline=self._timings.renew_deadline,
            retry_period=self._timings.retry_period,
        )
        return LeaderElector(client, config, lead, wall_clock=system_wall_clock)

    async def _schedule(self) -> None:
        scheduler = Scheduler(
            SchedulerConfig(),
            self._scheduler_client,
            self._informers,
            self._scheduler_events,
            dice=self._dice,
            wall_clock=system_wall_clock,
        )
        try:
            await scheduler.start()
            await asyncio.get_running_loop().create_future()
        finally:
            await scheduler.stop()
