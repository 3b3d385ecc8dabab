"""Certificates of a member: made where it is to make them, and tried where they are given."""

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.replica.peers.peer_security import PeerTls
from podling.launcher.certificates import Authority, Subject
from podling.launcher.store import store_certificates
from podling.launcher.store.store_certificates import CertificateError
from podling.launcher.store.store_flags import StoreFlags
from podling.launcher.store.store_settings import StoreSettings, settings

CLIENTS = {
    "listen_client_urls": "https://10.0.0.1:2379",
    "advertise_client_urls": "https://store.example:2379",
}
PEERS = {
    "listen_peer_urls": "https://10.0.0.1:2380",
    "initial_advertise_peer_urls": "https://10.0.0.1:2380",
}


def told(folder: Path, **flags: Any) -> StoreSettings:
    return settings(StoreFlags(data_dir=str(folder / "data"), **flags), set(flags))


def peers(folder: Path, token: str, name: str = "default") -> PeerTls:
    made = store_certificates.for_peers(
        told(folder, peer_auto_tls=True, initial_cluster_token=token, name=name, **PEERS),
        system_wall_clock,
    )
    assert made is not None
    return made


def names(certificate: bytes) -> set[str]:
    loaded = x509.load_pem_x509_certificate(certificate)
    found = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(each.value) for each in found}


def trusts(ca: bytes, certificate: bytes) -> bool:
    try:
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(
            x509.load_pem_x509_certificate(ca)
        )
    except InvalidSignature:
        return False
    return True


def test_in_the_clear_there_is_none(tmp_path: Path) -> None:
    assert store_certificates.for_clients(told(tmp_path), system_wall_clock) is None
    assert store_certificates.for_peers(told(tmp_path), system_wall_clock) is None


def test_what_is_made_for_clients_is_kept_and_can_be_trusted(tmp_path: Path) -> None:
    flags = told(tmp_path, auto_tls=True, **CLIENTS)
    first = store_certificates.for_clients(flags, system_wall_clock)
    assert first is not None
    certificate = first.certificate.read_bytes()
    assert {"10.0.0.1", "store.example", "127.0.0.1", "localhost"} <= names(certificate)
    assert trusts((tmp_path / "data" / "tls" / "client-ca.crt").read_bytes(), certificate)
    again = store_certificates.for_clients(flags, system_wall_clock)
    assert again == first and first.certificate.read_bytes() == certificate


@pytest.mark.parametrize("demanded", [True, False])
def test_a_clients_certificate_names_a_user_only_where_it_is_demanded(
    tmp_path: Path, demanded: bool
) -> None:
    authority = str(tmp_path / "ca.crt")
    flags = told(
        tmp_path, auto_tls=True, trusted_ca_file=authority, client_cert_auth=demanded, **CLIENTS
    )
    made = store_certificates.for_clients(flags, system_wall_clock)
    assert made is not None
    assert made.names_users == demanded


def test_members_with_one_token_trust_each_other_and_nobody_else(tmp_path: Path) -> None:
    ours, theirs = peers(tmp_path, "secret", "default"), peers(tmp_path, "other", "default")
    again = peers(tmp_path, "secret", "default")
    assert trusts(ours.ca, again.certificate) and trusts(again.ca, ours.certificate)
    assert not trusts(ours.ca, theirs.certificate)
    assert "10.0.0.1" in names(ours.certificate)


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    authority = Authority.create("a", system_wall_clock)
    for name in ("a", "b"):
        authority.issue(Subject(name), tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
    mixed = {"cert_file": str(tmp_path / "a.crt"), "key_file": str(tmp_path / "b.key")}
    with pytest.raises(CertificateError, match="are not a certificate and its key"):
        store_certificates.for_clients(told(tmp_path, **mixed, **CLIENTS), system_wall_clock)
    missing = mixed | {"key_file": str(tmp_path / "c.key")}
    with pytest.raises(CertificateError, match=r"--key-file: .*No such file"):
        store_certificates.for_clients(told(tmp_path, **missing, **CLIENTS), system_wall_clock)
