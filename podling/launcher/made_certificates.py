"""Certificates that a member of the store makes for itself, where it is told to.

    DIR/tls/client-ca.crt     --auto-tls: an authority of this member's own, for clients to trust
    DIR/tls/client.crt .key   what it signed for this member

With --peer-auto-tls nothing is kept: every member derives the same authority from the cluster's
token, so who does not know the token is no member. The usual token is known to all.
"""

import ipaddress
from collections.abc import Iterable

from podling.aiokit.clock import WallClock
from podling.controlplane.replica.peers.peer_security import PeerTls
from podling.controlplane.store.etcd.server_certificate import ServerCertificate
from podling.launcher.certificates import Authority, Subject
from podling.launcher.cluster_file import write_private
from podling.launcher.store.member_urls import Url
from podling.launcher.store.store_settings import StoreSettings

FOLDER = "tls"
PEER_AUTHORITY = "podling-peers"
HOST_NAMES = ("localhost",)
ADDRESSES = ("127.0.0.1", "::1")


def for_clients(settings: StoreSettings, clock: WallClock) -> ServerCertificate:
    """Made at the first start, and kept: clients may have taken note of it."""
    tls = settings.client_tls
    assert tls is not None
    folder = settings.data_dir / FOLDER
    made = ServerCertificate(
        folder / "client.crt", folder / "client.key", tls.authority, names_users=tls.names_users
    )
    if not (made.certificate.exists() and made.key.exists()):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        signer = Authority.create(f"podling-store-{settings.name}", clock)
        urls = (*settings.listen_clients, *settings.advertised_clients)
        signer.issue(_subject(settings.name, urls), made.certificate, made.key)
        write_private(folder / "client-ca.crt", signer.pem)
    return made


def for_peers(settings: StoreSettings, clock: WallClock) -> PeerTls:
    """What a member of this token shows to the others."""
    assert settings.peer_tls is not None
    authority = Authority.of_secret(PEER_AUTHORITY, settings.token.encode(), clock)
    certificate, key = authority.sign(_subject(settings.name, settings.advertised_peers))
    return PeerTls(
        authority.pem, certificate, key, by_host=True, allowed_names=settings.peer_tls.allowed_names
    )


def _subject(name: str, urls: Iterable[Url]) -> Subject:
    """Whom a certificate speaks for: a member, wherever it is found."""
    hosts = {url.host for url in urls if url.host}
    addresses = {host for host in hosts if _is_address(host)} | set(ADDRESSES)
    names = hosts - addresses | set(HOST_NAMES)
    return Subject(name, (), sorted(addresses), sorted(names))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
