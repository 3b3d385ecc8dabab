"""The process of `podling store`: one member, its listeners, and what keeps the process well."""

import asyncio
import logging

import uvloop
from prometheus_client import CollectorRegistry, ProcessCollector

from podling.aiokit import components, ids, logs
from podling.aiokit.collector import ScheduledCollector
from podling.aiokit.components import Component, Stop
from podling.aiokit.loop_lag import LoopLag
from podling.controlplane.replica import bootstrap
from podling.controlplane.replica.config import Member, ReplicaConfig
from podling.controlplane.replica.grpc_transport import GrpcTransport, GrpcTransportConfig
from podling.controlplane.replica.peer_security import PeerTls
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.etcd.grpc_listener import (
    GrpcListener,
    ListenerConfig,
    ServerCertificate,
)
from podling.controlplane.store.etcd.rpc_cluster import MemberInfo
from podling.controlplane.store.metrics import StoreMetrics
from podling.controlplane.store.store_server import StoreServer, StoreServerConfig
from podling.controlplane.wal.disk import OsDisk
from podling.launcher.member_urls import Url
from podling.launcher.store_settings import StoreSettings, TlsSettings

log = logging.getLogger(__name__)


def run(settings: StoreSettings) -> int:
    """Run the member until it is told to stop; returns the exit code."""
    logs.configure(settings.name, settings.log_level)
    for warning in settings.warnings:
        log.warning("%s", warning)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(settings))


async def serve(settings: StoreSettings) -> int:
    stop = Stop()
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    config = _replica_config(settings)
    store = _store(settings, config, registry, stop)
    parts: list[Component] = [
        LoopLag(registry),
        store,
        *(_listener(settings, config, url, store) for url in settings.listen_clients),
        ScheduledCollector(registry),
    ]
    return await components.run(parts, stop)


def _replica_config(settings: StoreSettings) -> ReplicaConfig:
    ids_by_name = {
        name: bootstrap.member_id_of([url.text for url in urls], settings.token)
        for name, urls in settings.members.items()
    }
    return ReplicaConfig(
        name=settings.name,
        member_id=ids_by_name[settings.name],
        cluster_id=bootstrap.cluster_id_of(ids_by_name.values()),
        members={
            ids_by_name[name]: Member(name, urls[0].address)
            for name, urls in settings.members.items()
        },
        data_dir=settings.data_dir,
        heartbeat_interval=settings.heartbeat_interval,
        election_timeout=settings.election_timeout,
        snapshot_count=settings.snapshot_count,
    )


def _store(
    settings: StoreSettings, config: ReplicaConfig, registry: CollectorRegistry, stop: Stop
) -> StoreServer:
    dice = ids.system_dice()
    metrics = StoreMetrics(registry)
    transport = GrpcTransportConfig(
        config.cluster_id,
        config.member_id,
        config.members,
        _peer_tls(settings.peer_tls),
        settings.listen_peers[0].address,
    )
    server = StoreServer(
        StoreServerConfig(config, _store_config(settings)),
        disk=OsDisk(metrics.synced),
        transport=GrpcTransport(transport, dice),
        dice=dice,
        new_id=ids.random_u64,
        fatal=stop.fail,
    )
    metrics.report(server.store)
    return server


def _store_config(settings: StoreSettings) -> StoreConfig:
    return StoreConfig(
        max_request_bytes=settings.max_request_bytes,
        max_txn_ops=settings.max_txn_ops,
        quota_bytes=settings.quota,
    )


def _peer_tls(tls: TlsSettings | None) -> PeerTls | None:
    if tls is None or tls.authority is None or tls.certificate is None or tls.key is None:
        return None
    return PeerTls.from_files(tls.authority, tls.certificate, tls.key)


def _listener(
    settings: StoreSettings, config: ReplicaConfig, url: Url, server: StoreServer
) -> GrpcListener:
    members = [
        MemberInfo(
            number,
            member.name,
            [each.text for each in settings.members[member.name]],
            settings.advertised_clients if member.name == settings.name else (),
        )
        for number, member in config.members.items()
    ]
    listener = ListenerConfig(
        url.address,
        members,
        config.cluster_id,
        config.member_id,
        tls=_server_certificate(settings.client_tls) if url.secure else None,
        max_request_bytes=settings.max_request_bytes,
    )
    return GrpcListener(listener, server.store)


def _server_certificate(tls: TlsSettings | None) -> ServerCertificate | None:
    assert tls is not None and tls.certificate and tls.key and tls.authority
    return ServerCertificate(tls.certificate, tls.key, tls.authority)
