"""From flags to settings: etcd's defaults, and an error for each contradiction."""

from pathlib import Path
from typing import Any

import pytest

from podling.launcher.errors import LauncherError
from podling.launcher.store.store_flags import StoreFlags
from podling.launcher.store.store_settings import StoreSettings, settings


def checked(**flags: Any) -> StoreSettings:
    return settings(StoreFlags(**flags), set(flags))


SECURE = {
    "listen_client_urls": "https://10.0.0.1:2379",
    "advertise_client_urls": "https://10.0.0.1:2379",
    "cert_file": "c.crt",
    "key_file": "c.key",
}
SECURE_PEERS = {
    "listen_peer_urls": "https://10.0.0.1:2380",
    "initial_advertise_peer_urls": "https://10.0.0.1:2380",
    "peer_cert_file": "p.crt",
    "peer_key_file": "p.key",
    "peer_trusted_ca_file": "ca.crt",
}


def test_without_flags_a_member_stands_alone_on_loopback() -> None:
    alone = checked()
    assert alone.name == "default"
    assert alone.data_dir == Path("default.podling")
    assert [url.address for url in alone.listen_clients] == ["127.0.0.1:2379"]
    assert [url.address for url in alone.listen_peers] == ["127.0.0.1:2380"]
    assert [url.text for url in alone.advertised_clients] == ["http://localhost:2379"]
    assert list(alone.members) == ["default"]
    assert (alone.heartbeat_interval, alone.election_timeout) == (0.1, 1.0)
    assert alone.quota == 0
    assert alone.log_outputs == ("stderr",)
    assert alone.client_tls is None and alone.peer_tls is None
    assert not alone.warnings


def test_a_member_of_three_is_found_by_its_name() -> None:
    members = "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,c=http://10.0.0.3:2380"
    b = checked(
        name="b", initial_cluster=members, initial_advertise_peer_urls="http://10.0.0.2:2380"
    )
    assert list(b.members) == ["a", "b", "c"]
    assert [url.text for url in b.advertised_peers] == ["http://10.0.0.2:2380"]
    assert b.data_dir == Path("b.podling")


def test_a_url_for_https_has_the_certificates() -> None:
    tls = checked(**SECURE, trusted_ca_file="ca.crt", client_cert_auth=True).client_tls
    assert tls is not None
    assert (tls.certificate, tls.key, tls.authority) == (
        Path("c.crt"), Path("c.key"), Path("ca.crt"),
    )  # fmt: skip
    peer_tls = checked(**SECURE_PEERS, peer_cert_allowed_cn="member").peer_tls
    assert peer_tls is not None
    assert (peer_tls.authority, peer_tls.allowed_names) == (Path("ca.crt"), {"member"})


def test_certificates_and_plain_loopback_beside_https_go_together() -> None:
    """As kubeadm has it."""
    urls = "https://10.0.0.1:2379,http://127.0.0.1:2379"
    mixed = checked(**SECURE | {"listen_client_urls": urls})
    assert [url.secure for url in mixed.listen_clients] == [True, False]
    assert not mixed.warnings


def test_a_cluster_goes_over_to_tls_url_by_url() -> None:
    both = SECURE_PEERS | {
        "listen_peer_urls": "http://10.0.0.1:2379,https://10.0.0.1:2380",
        "initial_advertise_peer_urls": "http://10.0.0.1:2379",
        "initial_cluster": "default=http://10.0.0.1:2379,b=https://10.0.0.2:2380",
    }
    going = checked(**both)
    assert [url.secure for url in going.listen_peers] == [False, True]
    assert going.peer_tls is not None
    assert "members are served in the clear at http://10.0.0.1:2379" in going.warnings[0]


def test_the_check_at_the_start_is_a_flag_or_a_feature_gate() -> None:
    assert not checked().initial_corrupt_check
    assert checked(initial_corrupt_check=True).initial_corrupt_check
    assert checked(feature_gates="InitialCorruptCheck=true").initial_corrupt_check
    assert checked(feature_gates="InitialCorruptCheck=true,").initial_corrupt_check
    assert not checked(feature_gates="InitialCorruptCheck=false").initial_corrupt_check


def test_a_certificate_that_is_given_goes_before_an_automatic_one() -> None:
    tls = checked(**SECURE, auto_tls=True).client_tls
    assert tls is not None and not tls.automatic


def test_serving_others_in_the_clear_is_warned_of() -> None:
    open_to_all = checked(
        listen_client_urls="http://0.0.0.0:2379", advertise_client_urls="http://10.0.0.1:2379"
    )
    (warning,) = open_to_all.warnings
    assert "in the clear at http://0.0.0.0:2379" in warning


def test_a_token_that_all_know_is_warned_of() -> None:
    urls = {
        "listen_peer_urls": "https://10.0.0.1:2380",
        "initial_advertise_peer_urls": "https://10.0.0.1:2380",
    }
    (warning,) = checked(peer_auto_tls=True, **urls).warnings
    assert "choose one, and keep it secret" in warning
    assert not checked(peer_auto_tls=True, initial_cluster_token="ours", **urls).warnings


def test_flags_that_scripts_give_by_habit_are_taken_and_said_to_have_no_effect() -> None:
    habits = {"max_wals": 3, "enable_v2": False, "proxy": "off", "wal_dir": "", "metrics": "basic"}
    (warning,) = checked(**habits).warnings
    assert warning == "without effect here: --max-wals, --metrics, --enable-v2, --proxy, --wal-dir"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"name": ""}, "--name: '' cannot be"),
        ({"name": "a=b"}, "--name: 'a=b' cannot be"),
        ({"listen_peer_urls": "10.0.0.1:2380"}, "--listen-peer-urls: '10.0.0.1:2380' must begin"),
        ({"listen_peer_urls": ""}, "--listen-peer-urls: there must be at least one"),
        ({"listen_client_urls": ""}, "--listen-client-urls: there must be at least one"),
        (
            {"listen_client_urls": "http://10.0.0.1:2379"},
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
        ),
        ({"advertise_client_urls": ""}, "--advertise-client-urls: there must be at least one"),
        ({"initial_advertise_peer_urls": ""}, "--initial-advertise-peer-urls: there must be"),
        (
            {"initial_cluster": "a=http://localhost:2380"},
            "couldn't find local name 'default' in the initial cluster.* has: a",
        ),
        (
            {"initial_cluster": "default=http://10.0.0.1:2380"},
            "must include default=http://localhost:2380",
        ),
        ({"initial_cluster_state": "old"}, "must be new or existing, not 'old'"),
        ({"election_timeout": 400}, "at least 5 times --heartbeat-interval=100"),
        ({"election_timeout": 60_000}, "too long: at most 50000"),
        ({"heartbeat_interval": 0}, "--heartbeat-interval must be more than 0"),
        ({"snapshot_count": -1}, "--snapshot-count must be more than 0"),
        ({"max_txn_ops": 0}, "--max-txn-ops must be more than 0"),
        ({"max_request_bytes": 64 * 1024**2}, "--max-request-bytes=67108864 is too much"),
        ({"watch_progress_notify_interval": "soon"}, "'soon' is not a duration"),
        ({"logger": "mine"}, "--logger: 'mine' is not one of zap, capnslog"),
        ({"log_outputs": ","}, "--log-outputs: there must be at least one"),
        ({"feature_gates": "Color=red"}, "--feature-gates: 'Color=red' is not"),
        ({"feature_gates": "InitialCorruptCheck"}, "is not InitialCorruptCheck=true"),
        ({"auth_token": "jwt,pub-key=k"}, "--auth-token: sign-method is missing"),
        ({"auth_token_ttl": 0}, "--auth-token-ttl must be more than 0"),
        ({"bcrypt_cost": 3}, "--bcrypt-cost=3 must be from 4 to 31"),
        ({"corrupt_check_time": "often"}, "--corrupt-check-time: 'often' is not a duration"),
        ({"enable_v2": True}, "--enable-v2=true is not taken: The API of etcd 2"),
        ({"force_new_cluster": True}, "podling store recover --force-new-cluster"),
        ({"auto_compaction_mode": "daily"}, "must be periodic or revision, not 'daily'"),
        ({"auto_compaction_retention": "long"}, "--auto-compaction-retention: 'long' is not a"),
        ({"log_level": "loud"}, "--log-level: 'loud' is not one of debug, info"),
        ({"cert_file": "c", "key_file": "k"}, "--cert-file is given, but no URL is for https"),
        ({"client_cert_auth": True}, "--client-cert-auth is given, but no URL is for https"),
        ({"auto_tls": True}, "--auto-tls is given, but no URL is for https"),
        ({"peer_auto_tls": True}, "--peer-auto-tls is given, but no URL is for https"),
        (SECURE | {"key_file": ""}, "--cert-file needs --key-file"),
        (SECURE | {"cert_file": ""}, "--key-file needs --cert-file"),
        (SECURE | {"cert_file": "", "key_file": ""}, "give both, or --auto-tls"),
        (SECURE | {"client_cert_auth": True}, "--client-cert-auth needs --trusted-ca-file"),
        (SECURE_PEERS | {"peer_trusted_ca_file": ""}, "--peer-trusted-ca-file is missing"),
        (
            SECURE_PEERS | {"initial_advertise_peer_urls": "http://10.0.0.1:2380"},
            "has http://10.0.0.1:2380, but --listen-peer-urls has no URL for http",
        ),
        (
            {"initial_cluster": "default=http://localhost:2380,b=https://10.0.0.2:2380"},
            "--initial-cluster has https, but there is no --peer-cert-file",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_flag(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(LauncherError, match=words):
        checked(**flags)
