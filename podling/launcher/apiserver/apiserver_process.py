"""The process of `podling apiserver`: the API server alone, on an etcd, or a store that speaks so.

CERT-DIR/ca.crt .key          an authority, made unless --client-ca-file names another
CERT-DIR/apiserver.crt .key   the server's own, made unless --tls-cert-file names another
CERT-DIR/admin.crt .key       the administrator's, of the authority that was made
CERT-DIR/kubeconfig           for kubectl, as administrator
"""

import asyncio
import logging
import ssl
from pathlib import Path

import uvloop
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector

from podling import __version__
from podling.aiokit import components, ids, logs
from podling.aiokit.clock import WallClock, system_wall_clock
from podling.aiokit.collector import ScheduledCollector
from podling.aiokit.components import Component, Stop
from podling.aiokit.loop_lag import LoopLag
from podling.aiokit.service_manager import ServiceNotice
from podling.controlplane.apiserver.api_core import ApiCoreConfig
from podling.controlplane.apiserver.api_server import ApiServer, ApiServerConfig, Surroundings
from podling.controlplane.apiserver.rest.http_server import (
    HttpServerConfig,
    TlsFiles,
    server_context,
)
from podling.controlplane.apiserver.rest.kubelet_logs import KubeletClientFiles
from podling.controlplane.apiserver.server_leases.lease_keys import Endpoint
from podling.controlplane.apiserver.storage.etcd_endpoints import EtcdConfig
from podling.controlplane.apiserver.storage.etcd_storage import EtcdStorage
from podling.launcher import credentials
from podling.launcher.apiserver.apiserver_settings import ApiServerSettings, Files
from podling.launcher.certificates import Authority, CredentialsError, Subject
from podling.launcher.cluster_file import write_private

log = logging.getLogger(__name__)

NAME = "apiserver"
LOOPBACK = "127.0.0.1"


def run(settings: ApiServerSettings) -> int:
    """Run the API server until it is told to stop; returns the exit code. Raises LauncherError."""
    logs.configure(NAME)
    tls = serving_files(settings, system_wall_clock)
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


def serving_files(settings: ApiServerSettings, clock: WallClock) -> TlsFiles:
    """What the server shows and demands; what no flag names is made. Raises CredentialsError."""
    files = settings.serving
    if files.certificate is None or files.authority is None:
        files = _made(settings, clock)
    tls = TlsFiles(str(files.certificate), str(files.key), str(files.authority))
    try:
        server_context(tls)
    except (OSError, ssl.SSLError) as error:
        raise CredentialsError(
            f"cannot serve with {tls.certificate}, {tls.key} and {tls.client_ca}: {error}"
        ) from None
    return tls


def _made(settings: ApiServerSettings, clock: WallClock) -> Files:
    folder, given = settings.cert_dir, settings.serving
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = Authority.load_or_create(
        "podling-apiserver-ca",
        folder / "ca.crt",
        folder / "ca.key",
        clock,
        "remove the folder, and all of it is made anew",
    )
    addresses = sorted({settings.advertise_address, settings.bind_address, LOOPBACK})
    served = Subject("kube-apiserver", (), addresses, credentials.API_HOST_NAMES)
    own = _issued(authority, folder, NAME, served)
    log.info("serving with %s, signed by %s", own[0], folder / "ca.crt")
    if given.authority is not None:
        return Files(*own, given.authority)
    admin = Subject("kubernetes-admin", [credentials.MASTERS])
    _issued(authority, folder, credentials.ADMIN, admin)
    _write_kubeconfig(settings)
    return Files(*own, folder / "ca.crt")


def _issued(authority: Authority, folder: Path, name: str, subject: Subject) -> tuple[Path, Path]:
    """Certificate and key for `subject`."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    reason = authority.issue_unless_good(subject, certificate, key)
    if reason:
        log.warning("replaced %s, which could not be used: %s", certificate, reason)
    return certificate, key


def _write_kubeconfig(settings: ApiServerSettings) -> None:
    host = settings.advertise_address
    host = f"[{host}]" if ":" in host else host
    content = credentials.kubeconfig(
        f"https://{host}:{settings.port}", "ca.crt", "admin.crt", "admin.key"
    )
    path = settings.cert_dir / "kubeconfig"
    write_private(path, yaml.safe_dump(content))
    log.info("kubectl --kubeconfig %s asks this server as administrator", path)
