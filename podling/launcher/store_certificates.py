"""The certificates of one member of the store: read and tried, or made here.

    DIR/tls/client-ca.crt     --auto-tls: an authority of this member's own, for clients to trust
    DIR/tls/client.crt .key   what it signed for this member

With --peer-auto-tls nothing is kept: every member derives the same authority from the cluster's
token, so who does not know the token is no member. The usual token is known to all.
"""

import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path

from podling.aiokit.clock import WallClock
from podling.controlplane.replica.peer_security import PeerTls
from podling.controlplane.store.etcd.server_certificate import ServerCertificate
from podling.launcher.certificates import Authority, Subject
from podling.launcher.cluster_file import write_private
from podling.launcher.errors import LauncherError
from podling.launcher.member_urls import Url
from podling.launcher.store_settings import StoreSettings, TlsSettings

FOLDER = "tls"
PEER_AUTHORITY = "podling-peers"
HOST_NAMES = ("localhost",)
ADDRESSES = ("127.0.0.1", "::1")


class CertificateError(LauncherError):
    """A file of a certificate that cannot be used; the text says which, and why."""


def for_clients(settings: StoreSettings, clock: WallClock) -> ServerCertificate | None:
    """What listeners for https show; None if there is none. Raises CertificateError."""
    tls = settings.client_tls
    if tls is None:
        return None
    if tls.automatic:
        return _made_for_clients(settings, tls.authority, clock)
    certificate, key = _tried(tls, prefix="")
    return ServerCertificate(certificate, key, tls.authority)


def for_peers(settings: StoreSettings, clock: WallClock) -> PeerTls | None:
    """What this member shows to others; None in the clear. Raises CertificateError."""
    tls = settings.peer_tls
    if tls is None:
        return None
    names = {tls.allowed_name} - {""}
    if tls.automatic:
        authority = Authority.of_secret(PEER_AUTHORITY, settings.token.encode(), clock)
        subject = _subject(settings.name, settings.advertised_peers)
        return PeerTls(authority.pem, *authority.sign(subject), True, frozenset(names))
    certificate, key = _tried(tls, prefix="peer-")
    assert tls.authority is not None  # settings demand it
    return PeerTls.from_files(tls.authority, certificate, key, by_host=True, allowed_names=names)


def _made_for_clients(
    settings: StoreSettings, authority: Path | None, clock: WallClock
) -> ServerCertificate:
    """Made at the first start, and kept: clients may have taken note of it."""
    folder = settings.data_dir / FOLDER
    made = ServerCertificate(folder / "client.crt", folder / "client.key", authority)
    if not (made.certificate.exists() and made.key.exists()):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        signer = Authority.create(f"podling-store-{settings.name}", clock)
        urls = (*settings.listen_clients, *settings.advertised_clients)
        signer.issue(_subject(settings.name, urls), made.certificate, made.key)
        write_private(folder / "client-ca.crt", signer.pem)
    return made


def _subject(name: str, urls: Iterable[Url]) -> Subject:
    """Whom a certificate speaks for: a member, wherever it is found."""
    hosts = {url.host for url in urls}
    addresses = {host for host in hosts if _is_address(host)} | set(ADDRESSES)
    names = hosts - addresses | set(HOST_NAMES)
    return Subject(name, (), sorted(addresses), sorted(names))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


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
