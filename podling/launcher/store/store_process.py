"""The process of `podling store`: one member, its listeners, and what keeps the process well."""

import asyncio
import contextlib
import importlib
import logging
import math
import signal

import uvloop
from prometheus_client import CollectorRegistry, ProcessCollector

from podling.aiokit import components, ids, logs
from podling.aiokit.clock import system_wall_clock
from podling.aiokit.collector import ScheduledCollector
from podling.aiokit.components import Component, Stop
from podling.aiokit.loop_lag import LoopLag
from podling.aiokit.service_manager import ServiceNotice
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.errors import NoLeader, ReplicaError, ReplicaStopped
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport, GrpcTransportConfig
from podling.controlplane.replica.peers.peer_security import PeerTls
from podling.controlplane.replica.transport import TransportError
from podling.controlplane.store import initial_check
from podling.controlplane.store.client_calls import ClientCalls
from podling.controlplane.store.compactor import Compactor
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.etcd.grpc_listener import GrpcListener, ListenerConfig
from podling.controlplane.store.etcd.publication import Publication
from podling.controlplane.store.initial_check import InconsistentData, InitialCheck
from podling.controlplane.store.metrics import StoreMetrics
from podling.controlplane.store.store_server import StoreServer, StoreServerConfig
from podling.controlplane.store.token_providers import Signer
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.errors import DataDirectoryError
from podling.launcher.errors import LauncherError
from podling.launcher.store import store_certificates, store_identity
from podling.launcher.store.store_settings import StoreSettings

log = logging.getLogger(__name__)

HTTP = "podling.controlplane.store.etcd.http_endpoints"
"""Imported where it is wanted; it takes as long as all the rest."""
TOKEN_KEYS = "podling.launcher.store.token_keys"
"""The same."""
REQUEST_SECONDS = 5.0
"""How long a request may take when the leader does not change; two elections more as it does."""
EXPECTED = (DataDirectoryError, ReplicaError, TransportError, InconsistentData)
"""What keeps a member from starting and is for whoever runs it: their texts say what to do."""


class CannotStart(LauncherError):
    """The data directory, or a file of logs, cannot be used."""


def run(settings: StoreSettings) -> int:
    """Run the member until it is told to stop; returns the exit code. Raises LauncherError."""
    try:
        logs.configure(settings.name, settings.log_level, settings.log_outputs)
    except OSError as error:
        raise CannotStart(f"--log-outputs: {error}") from None
    for warning in settings.warnings:
        log.warning("%s", warning)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings))


async def _serve(settings: StoreSettings) -> int:
    peer_tls = store_certificates.for_peers(settings, system_wall_clock)
    signer = _signer(settings)
    try:
        config = await store_identity.replica_config(settings, OsDisk(), peer_tls)
    except DataDirectoryError as error:
        raise CannotStart(str(error)) from None
    log.info(
        "%s is member %x of cluster %x, with its data in %s",
        settings.name, config.member_id, config.cluster_id, settings.data_dir.absolute(),
    )  # fmt: skip
    stop = Stop()
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    transport = _transport(settings, config, peer_tls)
    metrics = StoreMetrics(registry)
    server = _server(settings, config, transport, signer, metrics, stop)
    transport.answering = initial_check.answering(server.store)
    listeners = _listeners(settings, config, server, registry, metrics.calls)
    parts: list[Component] = [
        LoopLag(registry),
        AtOnce(server),
        *([InitialCheck(server.store, transport)] if settings.initial_corrupt_check else []),
        *listeners,
        Compactor(settings.compaction_mode, settings.compaction_retention, server.store, stop.fail),
        _publication(settings, server, stop),
        ScheduledCollector(registry),
        Farewell(server, config.stop_timeout),
        ServiceNotice(),
    ]
    return await components.run(parts, stop, EXPECTED)


def _transport(
    settings: StoreSettings, config: ReplicaConfig, tls: PeerTls | None
) -> GrpcTransport:
    urls = tuple(f"{url.scheme}://{url.address}" for url in settings.listen_peers)
    return GrpcTransport(
        GrpcTransportConfig(config.cluster_id, config.member_id, config.members, tls, urls),
        ids.system_dice(),
    )


def _server(
    settings: StoreSettings,
    config: ReplicaConfig,
    transport: GrpcTransport,
    signer: Signer | None,
    metrics: StoreMetrics,
    stop: Stop,
) -> StoreServer:
    server = StoreServer(
        StoreServerConfig(config, _store_config(settings)),
        disk=OsDisk(metrics.synced),
        transport=transport,
        dice=ids.system_dice(),
        new_id=ids.random_u64,
        fatal=stop.fail,
        signer=signer,
    )
    metrics.report(server.store)
    return server


def _signer(settings: StoreSettings) -> Signer | None:
    """What signs the tokens of users; None if they are not signed. Raises TokenKeyError."""
    if settings.jwt is None:
        return None
    signer: Signer = importlib.import_module(TOKEN_KEYS).signer(settings.jwt, system_wall_clock)
    return signer


def _store_config(settings: StoreSettings) -> StoreConfig:
    return StoreConfig(
        max_request_bytes=settings.max_request_bytes,
        max_txn_ops=settings.max_txn_ops,
        quota_bytes=settings.quota,
        request_timeout=REQUEST_SECONDS + 2 * settings.election_timeout,
        min_lease_ttl=math.ceil(1.5 * settings.election_timeout),
        progress_interval=settings.progress_interval,
        token_ttl=settings.token_ttl,
        bcrypt_cost=settings.bcrypt_cost,
        corrupt_check_interval=settings.corrupt_check_interval,
    )


def _listeners(
    settings: StoreSettings,
    config: ReplicaConfig,
    server: StoreServer,
    registry: CollectorRegistry,
    calls: ClientCalls,
) -> list[Component]:
    """For clients, and for those who watch over the process."""
    certificate = store_certificates.for_clients(settings, system_wall_clock)
    found: list[Component] = []
    for url in settings.listen_clients:
        listener = ListenerConfig(
            url.address,
            config.cluster_id,
            config.member_id,
            tls=certificate if url.secure else None,
            max_request_bytes=settings.max_request_bytes,
            leader_timeout=3 * settings.election_timeout,
            stop_grace=REQUEST_SECONDS,
        )
        found.append(GrpcListener(listener, server.store, calls))
    for url in settings.listen_metrics:
        http = importlib.import_module(HTTP)
        config_there = http.HttpConfig(url.address, certificate if url.secure else None)
        found.append(http.HttpEndpoints(config_there, server.store, registry))
    return found


def _publication(settings: StoreSettings, server: StoreServer, stop: Stop) -> Publication:
    clients = [url.text for url in settings.advertised_clients]
    peers = [url.text for url in settings.advertised_peers if settings.advertised_peers_given]
    return Publication(server.store.members, settings.name, clients, stop.fail, peers)


class AtOnce:
    """Starts the store so that a signal to stop meanwhile ends the process at once.

    Reading a large log back keeps the event loop busy, which hears of signals only afterwards. A
    member that has not started has promised nothing to anybody, so it can just end.
    """

    def __init__(self, server: StoreServer) -> None:
        self._server = server
        self.name = server.name

    async def start(self) -> None:
        numbers = (signal.SIGTERM, signal.SIGINT)
        later = [signal.signal(number, signal.SIG_DFL) for number in numbers]
        try:
            await self._server.start()
        finally:
            for number, handler in zip(numbers, later, strict=True):
                signal.signal(number, handler)

    async def stop(self) -> None:
        await self._server.stop()


class Farewell:
    """Stopped first: hands leadership over while requests are still served, then ends watches.

    So those who write notice nothing, and those who watch go on at another member.
    """

    name = "farewell"

    def __init__(self, server: StoreServer, timeout: float) -> None:
        """`timeout` bounds the hand-over, in seconds."""
        self._server = server
        self._timeout = timeout

    async def start(self) -> None:
        """There is nothing to do yet."""

    async def stop(self) -> None:
        replica = self._server.replica
        with contextlib.suppress(NoLeader, ReplicaStopped):
            status = replica.status()
            if status.is_leader and status.connected:
                await replica.transfer_leadership(timeout=self._timeout)
        self._server.store.end_watches()
