"""The certificates of one member of the store: given and tried, or made (`made_certificates`)."""

import importlib
import ssl
from collections.abc import Iterable
from pathlib import Path

from podling.aiokit.clock import WallClock
from podling.controlplane.replica.peers.peer_security import PeerTls
from podling.controlplane.store.etcd.server_certificate import ServerCertificate
from podling.launcher.errors import LauncherError
from podling.launcher.store.store_settings import StoreSettings, TlsSettings

MAKING = "podling.launcher.made_certificates"
"""Imported when something is to be made; it takes its time."""


class CertificateError(LauncherError):
    """A file of a certificate that cannot be used; the text says which, and why."""


def for_clients(settings: StoreSettings, clock: WallClock) -> ServerCertificate | None:
    """What listeners for https show; None if there is none. Raises CertificateError."""
    tls = settings.client_tls
    if tls is None:
        return None
    if tls.automatic:
        clients: ServerCertificate = importlib.import_module(MAKING).for_clients(settings, clock)
        return clients
    certificate, key = _tried(tls, prefix="")
    return ServerCertificate(certificate, key, tls.authority, names_users=tls.names_users)


def for_peers(settings: StoreSettings, clock: WallClock) -> PeerTls | None:
    """What this member shows to others; None in the clear. Raises CertificateError."""
    tls = settings.peer_tls
    if tls is None:
        return None
    if tls.automatic:
        peers: PeerTls = importlib.import_module(MAKING).for_peers(settings, clock)
        return peers
    certificate, key = _tried(tls, prefix="peer-")
    assert tls.authority is not None  # settings demand it
    return PeerTls.from_files(
        tls.authority, certificate, key, by_host=True, allowed_names=tls.allowed_names
    )


def _tried(tls: TlsSettings, prefix: str) -> tuple[Path, Path]:
    """Certificate and key of `tls`; raises CertificateError unless they can be used."""
    assert tls.certificate is not None and tls.key is not None  # settings demand it
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for flag, path in _files(tls):
        try:
            path.read_bytes()
        except OSError as error:
            raise CertificateError(f"--{prefix}{flag}: {error}") from None
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except ssl.SSLError as error:
        raise CertificateError(
            f"--{prefix}cert-file={tls.certificate} and --{prefix}key-file={tls.key} are not a "
            f"certificate and its key: {error}"
        ) from None
    if tls.authority is not None:
        try:
            context.load_verify_locations(tls.authority)
        except ssl.SSLError as error:
            raise CertificateError(
                f"--{prefix}trusted-ca-file={tls.authority} has no certificate: {error}"
            ) from None
    return tls.certificate, tls.key


def _files(tls: TlsSettings) -> Iterable[tuple[str, Path]]:
    for flag, path in (
        ("cert-file", tls.certificate),
        ("key-file", tls.key),
        ("trusted-ca-file", tls.authority),
    ):
        if path is not None:
            yield flag, path
