"""From flags of an API server to settings, and an error for each contradiction."""

from pathlib import Path
from typing import Any

import pytest

from podling.launcher.apiserver.apiserver_settings import (
    ApiServerFlags,
    ApiServerSettings,
    settings,
)
from podling.launcher.errors import LauncherError

ETCD = "http://127.0.0.1:2379"


def checked(etcd_servers: str = ETCD, **flags: Any) -> ApiServerSettings:
    return settings(ApiServerFlags(etcd_servers, **flags))


def test_an_etcd_is_enough() -> None:
    alone = checked()
    assert [url.address for url in alone.etcd] == ["127.0.0.1:2379"]
    assert alone.etcd_tls is None
    assert (alone.bind_address, alone.port, alone.advertise_address) == (
        "127.0.0.1", 6443, "127.0.0.1",
    )  # fmt: skip
    assert alone.serving.certificate is None
    assert (alone.event_ttl, alone.compaction_interval) == (3600.0, 300.0)


def test_several_members_over_tls() -> None:
    several = checked(
        "https://10.0.0.1:2379,https://10.0.0.2:2379",
        etcd_cafile="ca.crt", etcd_certfile="c.crt", etcd_keyfile="c.key",
    )  # fmt: skip
    assert [url.address for url in several.etcd] == ["10.0.0.1:2379", "10.0.0.2:2379"]
    assert several.etcd_tls is not None and several.etcd_tls.authority == Path("ca.crt")


def test_an_etcd_may_be_at_a_socket() -> None:
    near = checked("unixs:///run/store.sock", etcd_cafile="ca.crt")
    assert [url.address for url in near.etcd] == ["unix:/run/store.sock"]
    assert near.etcd_tls is not None


def test_a_server_on_all_addresses_is_told_which_one_others_use() -> None:
    open_to_all = checked(bind_address="0.0.0.0", advertise_address="10.0.0.1")
    assert open_to_all.advertise_address == "10.0.0.1"


@pytest.mark.parametrize("flag", ["advertise_address", "bind_address"])
def test_an_address_is_told_as_the_other_servers_write_it(flag: str) -> None:
    """Otherwise it would be told twice, and each of them would set right what this one says."""
    assert checked(**{flag: "FD00:0::1"}).advertise_address == "fd00::1"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"etcd_servers": ""}, "--etcd-servers: there must be at least one"),
        ({"etcd_servers": "127.0.0.1:2379"}, "--etcd-servers: '127.0.0.1:2379' must begin with"),
        ({"etcd_servers": f"{ETCD},https://127.0.0.1:1"}, "must all be https, or all http"),
        ({"etcd_cafile": "ca"}, "are for https"),
        ({"bind_address": "here"}, "--bind-address: 'here' does not appear to be"),
        ({"bind_address": "0.0.0.0"}, "--advertise-address is required"),
        ({"advertise_address": "::"}, "nobody can connect to ::"),
        ({"secure_port": 70_000}, "--secure-port: 70000 is no port"),
        ({"secure_port": 0}, "--secure-port: 0 is no port"),
        ({"service_cluster_ip_range": "10.0.0.1/24"}, "--service-cluster-ip-range"),
        ({"service_cluster_ip_range": "10.0.0.0/30"}, "must have at least 8 addresses"),
        ({"tls_cert_file": "c"}, "--tls-cert-file needs --tls-private-key-file"),
        (
            {"tls_cert_file": "c", "tls_private_key_file": "k"},
            "--tls-cert-file needs --client-ca-file",
        ),
        ({"kubelet_client_key": "k"}, "--kubelet-client-key needs --kubelet-client-certificate"),
        (
            {"kubelet_client_key": "k", "kubelet_client_certificate": "c"},
            "needs --kubelet-certificate-authority",
        ),
        ({"event_ttl": "long"}, "--event-ttl: 'long' is not a duration"),
    ],
)
def test_what_is_wrong_is_said_with_the_flag(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(LauncherError, match=words):
        checked(**flags)
