"""The API server without its sockets: store, cache, pipeline and the REST interface as a function.

The HTTP server, the gRPC service and the in-process transport are faces of this.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from prometheus_client import CollectorRegistry

from podling.aiokit.backoff import Backoff
from podling.aiokit.clock import WallClock
from podling.aiokit.ids import IdSource
from podling.aiokit.tasks import OnDeath, TaskSet
from podling.controlplane.apiserver import bootstrap
from podling.controlplane.apiserver.bootstrap import Bootstrap
from podling.controlplane.apiserver.documents.discovery import Discovery
from podling.controlplane.apiserver.documents.openapi import OpenApi
from podling.controlplane.apiserver.metrics import ApiMetrics
from podling.controlplane.apiserver.registry.admission import AdmissionChain
from podling.controlplane.apiserver.registry.admission_plugins import (
    DefaultTolerationSeconds,
    NamespaceLifecycle,
    ServiceAccountDefault,
)
from podling.controlplane.apiserver.registry.registry import Collaborators, Registry
from podling.controlplane.apiserver.registry.write_hooks import Hooks
from podling.controlplane.apiserver.request.authz import SystemAuthorizer
from podling.controlplane.apiserver.rest.face import RestFace
from podling.controlplane.apiserver.rest.in_flight import InFlight, InFlightConfig
from podling.controlplane.apiserver.rest.logs import NodeLogs, RestLogs
from podling.controlplane.apiserver.rest.objects import RestObjects
from podling.controlplane.apiserver.rest.paths import RestPaths, State
from podling.controlplane.apiserver.rest.subresources import RestSubresources
from podling.controlplane.apiserver.server_leases.announcer import Announcer, ServiceSlices
from podling.controlplane.apiserver.server_leases.lease_keys import Endpoint
from podling.controlplane.apiserver.server_leases.own_lease import LeaseTimings, OwnLease
from podling.controlplane.apiserver.service_claims.claim_repair import ClaimRepair
from podling.controlplane.apiserver.service_claims.node_ports import NodePorts
from podling.controlplane.apiserver.service_claims.service_addresses import (
    Claims,
    ServiceAddresses,
    ServiceRange,
)
from podling.controlplane.apiserver.service_claims.service_node_ports import ServiceNodePorts
from podling.controlplane.apiserver.storage.compactor import Compactor
from podling.controlplane.apiserver.storage.event_leases import EventLeases
from podling.controlplane.apiserver.storage.interface import KeyValue, Storage
from podling.controlplane.apiserver.strategies import StrategyConfig, build_strategies
from podling.controlplane.apiserver.watch_cache.object_lists import ObjectLists
from podling.controlplane.apiserver.watch_cache.watch_cache import WatchCache, WatchCacheConfig
from podling.controlplane.apiserver.watch_cache.watch_streams import WatchStreams
from podling.kube import kinds
from podling.kube.kinds import EVENT, POD, SERVICE, Kind

RETRY_FIRST, RETRY_CAP = 0.01, 0.2
"""Seconds between attempts to read the store, or to make the first objects."""
ANNOUNCE_FIRST, ANNOUNCE_CAP = 0.1, 2.0
"""Seconds between attempts to renew the server's lease, of which each may cost the store one."""


@dataclass(frozen=True, slots=True)
class ApiCoreConfig:
    """Everything that is chosen outside."""

    podling_version: str
    service_range: str
    """Of cluster addresses, such as `127.5.0.0/18`."""
    advertised: Endpoint | None = None
    """Where others reach this server, for the Service `kubernetes`; None: they are not told."""
    server_lease: LeaseTimings = field(default_factory=LeaseTimings)
    not_ready_toleration_seconds: int = 300
    unreachable_toleration_seconds: int = 300
    """How long a pod stays on a node that is gone, unless it says otherwise (upstream:
    --default-not-ready-toleration-seconds and its sibling)."""
    event_ttl_seconds: int = 3600
    """How long Events are kept (--event-ttl)."""
    bootstrap_seconds: float = 10.0
    """Between two looks whether the system's own objects are there (upstream: 10 s for the Service
    `kubernetes`, 60 s for the namespaces)."""
    compaction_seconds: float = 300.0
    """How much history is kept for lists and watches that go on; 0: all of it
    (--etcd-compaction-interval)."""
    allow_loopback_endpoints: bool = True
    """Pods may have addresses in 127.0.0.0/8."""
    watch_buffer_bytes: int = 16 << 20
    """What may wait for one watching client before it is cut off."""
    in_flight: InFlightConfig = field(default_factory=InFlightConfig)
    watch_cache: WatchCacheConfig = field(default_factory=WatchCacheConfig)


@dataclass(frozen=True, slots=True)
class World:
    """What is outside of the server and comes in through its constructor."""

    clock: WallClock
    ids: IdSource
    dice: Random
    metrics: CollectorRegistry
    node_logs: NodeLogs
    on_death: OnDeath
    """Told when a task dies that the server cannot do without."""
    state: State = dict
    """What else the process has to tell at /debug/state."""


class ApiCore:
    """Component: reads the store from `start` on, and makes the first objects of a cluster."""

    name = "apiserver"

    def __init__(self, config: ApiCoreConfig, storage: Storage, world: World) -> None:
        self._config = config
        self._world = world
        self._storage = storage
        self._tasks = TaskSet(self.name, world.on_death)
        self._stopping = False
        self.cache = WatchCache(
            storage, kinds.BUILT_IN, config.watch_cache, self._backoff(), world.on_death
        )
        self.registry = self._registry()
        self.lists = ObjectLists(self.cache, storage)
        self.watches = WatchStreams(self.cache, self.lists, world.dice, config.watch_buffer_bytes)
        self.authorizer = SystemAuthorizer(self._node_of_pod)
        self.in_flight = InFlight(config.in_flight)
        self.metrics = ApiMetrics(world.metrics)
        self.face = self._face()
        self._bootstrap = Bootstrap(
            self.registry,
            lambda kind, namespace, name: self._remembered(kind, namespace, name) is not None,
            self._range.kubernetes,
            config.advertised.port if config.advertised else bootstrap.HTTPS,
            self._backoff(),
            interval=config.bootstrap_seconds,
        )
        self._announcer = self._announce(config.advertised) if config.advertised else None

    async def start(self) -> None:
        """Return at once: the store may need others to start before it has a quorum."""
        await self.cache.start()
        self._tasks.spawn(self._begin(), name="begin")
        repair = ClaimRepair(self._claims, self._node_ports, self.cache, self._range)
        self._tasks.spawn(repair.run(), name="claim-repair")
        if self._config.compaction_seconds:
            compactor = Compactor(self._storage, self._config.compaction_seconds)
            self._tasks.spawn(compactor.run(), name="compactor")

    def end_watches(self) -> None:
        """Become unready, and end every watch in good order."""
        self._stopping = True
        self.cache.stop_watches()

    async def withdraw(self) -> None:
        """Send nobody here any more: this server is not ready, and no address of `kubernetes`."""
        self._stopping = True
        if self._announcer is not None:
            await self._announcer.stop()

    async def stop(self) -> None:
        self.end_watches()
        await self._tasks.close()
        await self.withdraw()
        await self.cache.stop()

    def checks(self) -> Mapping[str, str]:
        """What `/readyz` looks at: name -> why it fails, empty if it does not."""
        loaded = self.cache.loaded.is_set()
        return {
            "ping": "",
            "etcd": self.cache.lost,
            "watch-cache": "" if loaded else "the store has not been read yet",
            "bootstrap": "" if self._bootstrap.done.is_set() else "the first objects are not there",
            "announcement": "" if self._announced() else "the cluster has not been told of it yet",
            "shutdown": "the server is stopping" if self._stopping else "",
        }

    async def ready(self) -> None:
        """Wait until everything that a new cluster begins with is there."""
        await self.cache.loaded.wait()
        await self._bootstrap.done.wait()
        if self._announcer is not None:
            await self._announcer.tried.wait()

    async def _begin(self) -> None:
        await self.cache.loaded.wait()
        self._tasks.spawn(self._bootstrap.run(), name="bootstrap")
        await self._bootstrap.done.wait()
        if self._announcer is not None and not self._stopping:
            await self._announcer.start()

    def _announced(self) -> bool:
        return self._announcer is None or self._announcer.tried.is_set()

    def _announce(self, own: Endpoint) -> Announcer:
        timings, storage = self._config.server_lease, self._storage
        lease = OwnLease(own, self._world.ids(), timings.length, storage)
        slices = ServiceSlices(
            self.registry, self.cache, lambda: self.registry.call(bootstrap.USER)
        )
        backoff = Backoff(ANNOUNCE_FIRST, ANNOUNCE_CAP, self._world.dice)
        return Announcer(lease, timings, storage, slices, backoff, self._world.on_death)

    def _backoff(self) -> Backoff:
        return Backoff(RETRY_FIRST, RETRY_CAP, self._world.dice)

    def _registry(self) -> Registry:
        config, world, storage = self._config, self._world, self._storage
        self._range = ServiceRange(ipaddress.ip_network(config.service_range))
        self._claims = Claims(storage, world.clock, world.ids)
        self._node_ports = NodePorts(storage, world.dice)
        plugins = (
            NamespaceLifecycle(self.cache, storage),
            ServiceAccountDefault(),
            DefaultTolerationSeconds(
                config.not_ready_toleration_seconds, config.unreachable_toleration_seconds
            ),
        )
        return Registry(
            Collaborators(
                storage=storage,
                strategies=build_strategies(StrategyConfig(config.allow_loopback_endpoints)),
                admission=AdmissionChain(plugins),
                hooks={SERVICE: self._service_hooks()},
                lease_for=EventLeases(storage, config.event_ttl_seconds),
                remembered=self._remembered,
                clock=world.clock,
                ids=world.ids,
                dice=world.dice,
            )
        )

    def _remembered(self, kind: Kind, namespace: str, name: str) -> KeyValue | None:
        if kind == EVENT or not self.cache.loaded.is_set():  # the cache knows no event's lease
            return None
        entry = self.cache.of(kind).get(kind.storage_key(namespace, name))
        return None if entry is None else entry.key_value()

    def _service_hooks(self) -> Hooks:
        addresses = ServiceAddresses(self._claims, self._range, self._world.dice)
        return Hooks(addresses, ServiceNodePorts(self._node_ports))

    def _face(self) -> RestFace:
        world = self._world
        objects = RestObjects(self.registry, self.lists, self.watches, world.clock)
        paths = RestPaths(
            Discovery(kinds.BUILT_IN),
            OpenApi(kinds.BUILT_IN, "v1.37.0"),
            self.checks,
            self._metrics_text,
            world.state,
            self._config.podling_version,
        )
        return RestFace(
            self.authorizer,
            self.in_flight,
            objects,
            RestSubresources(self.registry, objects),
            RestLogs(self.registry, world.node_logs),
            paths,
            self.metrics.observe,
        )

    def _metrics_text(self) -> bytes:
        self.metrics.in_flight.labels("readOnly").set(self.in_flight.reads)
        self.metrics.in_flight.labels("mutating").set(self.in_flight.writes)
        self.metrics.watches.labels("WATCH").set(self.cache.watch_count())
        self.metrics.cache_revision.set(self.cache.revision)
        return self.metrics.text()

    def _node_of_pod(self, namespace: str, name: str) -> str | None:
        if not self.cache.loaded.is_set():
            return None
        entry = self.cache.of(POD).get(POD.storage_key(namespace, name))
        return None if entry is None else entry.fields.get("spec.nodeName", "")
