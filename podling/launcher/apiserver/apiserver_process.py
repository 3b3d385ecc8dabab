"""The process of `podling apiserver`: the API server alone, on an etcd or what speaks like one."""

import asyncio

import uvloop
from prometheus_client import CollectorRegistry, ProcessCollector

from podling import __version__
from podling.aiokit import components, ids, logs
from podling.aiokit.clock import system_wall_clock
from podling.aiokit.collector import ScheduledCollector
from podling.aiokit.components import Component, Stop
from podling.aiokit.loop_lag import LoopLag
from podling.aiokit.service_manager import ServiceNotice
from podling.controlplane.apiserver.api_core import ApiCoreConfig
from podling.controlplane.apiserver.api_server import ApiServer, ApiServerConfig, Surroundings
from podling.controlplane.apiserver.rest.http_server import HttpServerConfig, TlsFiles
from podling.controlplane.apiserver.rest.kubelet_logs import KubeletClientFiles
from podling.controlplane.apiserver.server_leases.lease_keys import Endpoint
from podling.controlplane.apiserver.storage.etcd_endpoints import EtcdConfig
from podling.controlplane.apiserver.storage.etcd_storage import EtcdStorage
from podling.launcher.apiserver import apiserver_certificates
from podling.launcher.apiserver.apiserver_settings import ApiServerSettings
from podling.launcher.certificates import CredentialsError

NAME = "apiserver"


def run(settings: ApiServerSettings) -> int:
    """Run the API server until it is told to stop; returns the exit code. Raises LauncherError."""
    logs.configure(NAME)
    tls = apiserver_certificates.serving_files(settings, system_wall_clock)
    etcd = _etcd_config(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, tls, etcd))


async def _serve(settings: ApiServerSettings, tls: TlsFiles, etcd: EtcdConfig) -> int:
    stop = Stop()
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    storage = EtcdStorage(etcd)
    surroundings = Surroundings(
        system_wall_clock, ids.random_uuid, ids.system_dice(), registry, stop.fail
    )
    parts: list[Component] = [
        LoopLag(registry),
        storage,
        ApiServer(_config(settings, tls), storage, surroundings),
        ScheduledCollector(registry),
        ServiceNotice(),
    ]
    return await components.run(parts, stop)


def _config(settings: ApiServerSettings, tls: TlsFiles) -> ApiServerConfig:
    kubelet = settings.kubelet_client
    return ApiServerConfig(
        core=ApiCoreConfig(
            podling_version=__version__,
            service_range=settings.service_range,
            advertised=Endpoint(settings.advertise_address, settings.port),
            not_ready_toleration_seconds=settings.not_ready_toleration,
            unreachable_toleration_seconds=settings.unreachable_toleration,
            event_ttl_seconds=round(settings.event_ttl),
            compaction_seconds=settings.compaction_interval,
        ),
        http=HttpServerConfig(tls=tls, address=settings.bind_address, port=settings.port),
        kubelet_client=None
        if kubelet is None
        else KubeletClientFiles(str(kubelet.certificate), str(kubelet.key), str(kubelet.authority)),
    )


def _etcd_config(settings: ApiServerSettings) -> EtcdConfig:
    addresses = [url.address for url in settings.etcd]
    if settings.etcd_tls is None:
        return EtcdConfig(addresses)
    tls = settings.etcd_tls
    try:
        authority, certificate, key = (
            None if path is None else path.read_bytes()
            for path in (tls.authority, tls.certificate, tls.key)
        )
    except OSError as error:
        raise CredentialsError(f"a certificate for etcd cannot be read: {error}") from None
    return EtcdConfig(addresses, True, authority, certificate, key)
