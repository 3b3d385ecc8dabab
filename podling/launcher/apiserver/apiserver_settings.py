"""What `podling apiserver` is told, checked. Pure: no file is read, no address bound.

Names and meanings are kube-apiserver's (Kubernetes reference, "kube-apiserver").
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from podling.launcher import flag_values
from podling.launcher.flag_values import SettingsError
from podling.launcher.store import member_urls
from podling.launcher.store.member_urls import Url

PORT_MAX = 0xFFFF
SERVICES_MIN = 8
"""Addresses that the range of Services has at least; kube-apiserver's figure."""


@dataclass(frozen=True, slots=True)
class ApiServerFlags:
    """What the command line says, unchecked."""

    etcd_servers: str
    etcd_cafile: str = ""
    etcd_certfile: str = ""
    etcd_keyfile: str = ""
    bind_address: str = "127.0.0.1"
    secure_port: int = 6443
    advertise_address: str = ""
    cert_dir: str = "apiserver.podling"
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    client_ca_file: str = ""
    kubelet_certificate_authority: str = ""
    kubelet_client_certificate: str = ""
    kubelet_client_key: str = ""
    service_cluster_ip_range: str = "10.0.0.0/24"
    event_ttl: str = "1h"
    etcd_compaction_interval: str = "5m"
    default_not_ready_toleration_seconds: int = 300
    default_unreachable_toleration_seconds: int = 300


@dataclass(frozen=True, slots=True)
class Files:
    """A certificate, its key, and the authority that the other side must have. PEM."""

    certificate: Path | None
    key: Path | None
    authority: Path | None


@dataclass(frozen=True, slots=True)
class ApiServerSettings:
    """Flags that go together."""

    etcd: tuple[Url, ...]
    etcd_tls: Files | None
    """None: in the clear."""
    bind_address: str
    port: int
    advertise_address: str
    cert_dir: Path
    serving: Files
    """No certificate: one is made. No authority: one is made, and a kubeconfig for it."""
    kubelet_client: Files | None
    service_range: str
    event_ttl: float
    """Seconds, as all durations here."""
    compaction_interval: float
    not_ready_toleration: int
    unreachable_toleration: int


def settings(flags: ApiServerFlags) -> ApiServerSettings:
    """Raises SettingsError and UrlError."""
    etcd = member_urls.parse("etcd-servers", flags.etcd_servers, sockets=True)
    if not etcd:
        raise SettingsError("--etcd-servers: there must be at least one URL")
    if len({url.secure for url in etcd}) > 1:
        raise SettingsError("--etcd-servers must all be https, or all http")
    _check_address("bind-address", flags.bind_address)
    if not 0 < flags.secure_port <= PORT_MAX:
        raise SettingsError(f"--secure-port: {flags.secure_port} is no port")
    _check_range("service-cluster-ip-range", flags.service_cluster_ip_range)
    return ApiServerSettings(
        etcd=etcd,
        etcd_tls=_etcd_tls(flags, secure=etcd[0].secure),
        bind_address=flags.bind_address,
        port=flags.secure_port,
        advertise_address=_advertised(flags),
        cert_dir=Path(flags.cert_dir).expanduser(),
        serving=_serving(flags),
        kubelet_client=_kubelet_client(flags),
        service_range=flags.service_cluster_ip_range,
        event_ttl=flag_values.duration("event-ttl", flags.event_ttl),
        compaction_interval=flag_values.duration(
            "etcd-compaction-interval", flags.etcd_compaction_interval
        ),
        not_ready_toleration=flags.default_not_ready_toleration_seconds,
        unreachable_toleration=flags.default_unreachable_toleration_seconds,
    )


def _etcd_tls(flags: ApiServerFlags, *, secure: bool) -> Files | None:
    tls = _files("etcd-certfile", flags.etcd_certfile, "etcd-keyfile", flags.etcd_keyfile)
    if secure:
        return Files(*tls, flag_values.path(flags.etcd_cafile))
    if flags.etcd_cafile or tls[0]:
        raise SettingsError(
            "--etcd-cafile and --etcd-certfile are for https, but --etcd-servers has http"
        )
    return None


def _serving(flags: ApiServerFlags) -> Files:
    pair = _files(
        "tls-cert-file", flags.tls_cert_file, "tls-private-key-file", flags.tls_private_key_file
    )
    if pair[0] and not flags.client_ca_file:
        raise SettingsError(
            "--tls-cert-file needs --client-ca-file beside it, whose certificates tell who is "
            "asking; or leave both out, and they are made"
        )
    return Files(*pair, flag_values.path(flags.client_ca_file))


def _kubelet_client(flags: ApiServerFlags) -> Files | None:
    pair = _files(
        "kubelet-client-certificate", flags.kubelet_client_certificate,
        "kubelet-client-key", flags.kubelet_client_key,
    )  # fmt: skip
    if not pair[0]:
        return None
    if not flags.kubelet_certificate_authority:
        raise SettingsError(
            "--kubelet-client-certificate needs --kubelet-certificate-authority beside it"
        )
    return Files(*pair, flag_values.path(flags.kubelet_certificate_authority))


def _files(
    certificate_flag: str, certificate: str, key_flag: str, key: str
) -> tuple[Path | None, Path | None]:
    pair = flag_values.path(certificate), flag_values.path(key)
    flag_values.check_pair(certificate_flag, pair[0], key_flag, pair[1])
    return pair


def _advertised(flags: ApiServerFlags) -> str:
    """Where the other parts of the cluster find this server, in the form that all servers tell."""
    bound = ipaddress.ip_address(flags.bind_address)
    if flags.advertise_address:
        _check_address("advertise-address", flags.advertise_address)
        advertised = ipaddress.ip_address(flags.advertise_address)
        if advertised.is_unspecified:
            raise SettingsError(
                f"--advertise-address: nobody can connect to {flags.advertise_address}; name the "
                "address that others use"
            )
        return str(advertised)
    if bound.is_unspecified:
        raise SettingsError(
            f"--advertise-address is required with --bind-address={flags.bind_address}: the "
            "cluster is told one address, not all"
        )
    return str(bound)


def _check_range(flag: str, text: str) -> None:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise SettingsError(f"--{flag}: {error}") from None
    if network.num_addresses < SERVICES_MIN:
        raise SettingsError(f"--{flag}: {text} must have at least {SERVICES_MIN} addresses")


def _check_address(flag: str, text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise SettingsError(f"--{flag}: {error}") from None
