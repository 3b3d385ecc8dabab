"""What an API server that runs alone shows to its clients, and what it makes for that.

CERT-DIR/ca.crt .key          an authority, made unless --client-ca-file names another
CERT-DIR/apiserver.crt .key   the server's own, made unless --tls-cert-file names another
CERT-DIR/admin.crt .key       the administrator's, of the authority that was made
CERT-DIR/kubeconfig           for kubectl, as administrator, of the server that started last

Servers of one cluster may share the folder: then all trust the same users, and users trust all.
"""

import contextlib
import fcntl
import ipaddress
import logging
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import yaml

from podling.aiokit.clock import WallClock
from podling.controlplane.apiserver.rest.http_server import TlsFiles, server_context
from podling.launcher import credentials
from podling.launcher.apiserver.apiserver_settings import ApiServerSettings, Files
from podling.launcher.certificates import Authority, CredentialsError, Subject
from podling.launcher.cluster_file import write_private

log = logging.getLogger(__name__)

NAME = "apiserver"
LOOPBACK = "127.0.0.1"


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
    settings.cert_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone_in(settings.cert_dir):
        return _make(settings, clock)


def _make(settings: ApiServerSettings, clock: WallClock) -> Files:
    folder, given = settings.cert_dir, settings.serving
    authority = Authority.load_or_create(
        "podling-apiserver-ca",
        folder / "ca.crt",
        folder / "ca.key",
        clock,
        "remove the folder, and all of it is made anew",
    )
    service = str(ipaddress.ip_network(settings.service_range)[1])
    addresses = {settings.advertise_address, settings.bind_address, LOOPBACK, service}
    served = Subject("kube-apiserver", (), sorted(addresses), credentials.API_HOST_NAMES)
    own = _issued(authority, folder, NAME, served)
    log.info("serving with %s, signed by %s", own[0], folder / "ca.crt")
    if given.authority is not None:
        return Files(*own, given.authority)
    admin = Subject("kubernetes-admin", [credentials.MASTERS])
    _issued(authority, folder, credentials.ADMIN, admin)
    _write_kubeconfig(settings)
    return Files(*own, folder / "ca.crt")


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Servers that start at once make one authority, not several."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
