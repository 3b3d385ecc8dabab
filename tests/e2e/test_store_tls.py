"""`podling store` over TLS: certificates of clients and members, given or made."""

import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from podling.launcher.waiting import wait_for
from tests.e2e.pki import Pki
from tests.e2e.store_members import ENVIRONMENT, ETCDCTL, PODLING, StoreCluster
from tests.ports import free_ports

SOON = ("--command-timeout=1s", "--dial-timeout=1s")
"""For an etcdctl that is to ask in vain."""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(ETCDCTL is None, reason="no etcdctl in PATH (apt install etcd-client)"),
]


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path, "ours")


@pytest.fixture
def three(tmp_path: Path, pki: Pki) -> Iterator[StoreCluster]:
    """Members that know each other, and their clients, by certificates."""
    with StoreCluster(tmp_path, 3, "https") as cluster:
        cluster.flags = (*pki.flags("", "server"), *pki.flags("peer-", "member"))
        cluster.flags += ("--client-cert-auth", "--peer-client-cert-auth=true")
        cluster.client_flags = pki.client_flags("client")
        yield cluster.start()


def test_members_and_clients_show_certificates(
    three: StoreCluster, pki: Pki, tmp_path: Path
) -> None:
    three.etcdctl("put", "a", "1")
    for member in three.members:
        assert three.etcdctl("get", "a", at=member) == "a\n1\n"
    three.client_flags = (f"--cacert={pki.authority}",)
    three.etcdctl("get", "a", *SOON, fails=True)
    strangers = Pki(tmp_path, "strangers")
    cert, key = strangers.issue("client")
    three.client_flags = (f"--cacert={pki.authority}", f"--cert={cert}", f"--key={key}")
    three.etcdctl("get", "a", *SOON, fails=True)


def test_a_member_joins_by_its_certificate_only(
    three: StoreCluster, pki: Pki, tmp_path: Path
) -> None:
    others = list(three.members)
    newcomer = three.new_member("m4")
    three.etcdctl("member", "add", "m4", f"--peer-urls={newcomer.peer_url}", at=others[0])
    joining = [*pki.flags("", "server"), "--initial-cluster-state=existing"]
    newcomer.start(three.members, *joining, *Pki(tmp_path, "strangers").flags("peer-", "member"))
    assert newcomer.ended() == 1
    assert "no member of the cluster has answered" in newcomer.said()
    newcomer.start(three.members, *joining, *pki.flags("peer-", "member"))
    newcomer.await_answer()
    three.etcdctl("put", "a", "1", at=newcomer)


def test_a_member_with_a_strange_certificate_is_no_member(
    three: StoreCluster, pki: Pki, tmp_path: Path
) -> None:
    three.etcdctl("put", "a", "1")
    stranger = three.members[2]
    stranger.terminate()
    flags = [*pki.flags("", "server"), *Pki(tmp_path, "strangers").flags("peer-", "member")]
    stranger.start(three.members, *flags)
    stranger.await_answer()
    three.etcdctl("put", "a", "2", at=three.members[0])
    assert "deadline exceeded" in three.etcdctl("get", "a", *SOON, at=stranger, fails=True)
    assert three.etcdctl("get", "a", "--consistency=s", at=stranger) != "a\n2\n"


def test_a_member_must_have_the_common_name_that_is_allowed(tmp_path: Path, pki: Pki) -> None:
    with StoreCluster(tmp_path, 3, "https") as cluster:
        cluster.flags = (*pki.flags("", "server"), "--peer-cert-allowed-cn=member")
        cluster.client_flags = pki.client_flags("client")
        for member, name in zip(cluster.members, ["member", "member", "other"], strict=True):
            member.start(cluster.members, *cluster.flags, *pki.flags("peer-", name))
        for member in cluster.members[:2]:
            member.await_answer()
            cluster.etcdctl("put", "a", "1", at=member)
        wait_for(
            lambda: "the caller's certificate is for other" in cluster.members[0].said(),
            60,
            lambda: f"the other to be refused:\n{cluster.members[0].said()}",
        )


def test_a_client_is_the_user_that_its_certificate_names(tmp_path: Path, pki: Pki) -> None:
    with StoreCluster(tmp_path, 1, "https") as cluster:
        cluster.flags = (*pki.flags("", "server"), *pki.flags("peer-", "member"))
        cluster.flags += ("--client-cert-auth",)
        cluster.client_flags = pki.client_flags("root")
        cluster.start()
        member = cluster.members[0]
        wait_for(lambda: "commands of version" in member.said(), 60, lambda: "users to be possible")
        cluster.etcdctl("user", "add", "root", "--no-password")
        cluster.etcdctl("user", "grant-role", "root", "root")
        cluster.etcdctl("user", "add", "alice", "--no-password")
        cluster.etcdctl("auth", "enable")
        cluster.etcdctl("put", "a", "1")
        cluster.client_flags = pki.client_flags("alice")
        assert "permission denied" in cluster.etcdctl("get", "a", fails=True)


def test_certificates_are_made(tmp_path: Path) -> None:
    with StoreCluster(tmp_path, 3, "https") as cluster:
        cluster.flags = ("--auto-tls", "--peer-auto-tls", "--initial-cluster-token=of our own")
        cluster.client_flags = ("--insecure-skip-tls-verify", "--insecure-transport=false")
        cluster.start()
        cluster.etcdctl("put", "a", "1")
        first = cluster.members[0]
        cluster.client_flags = (f"--cacert={first.data_dir / 'tls' / 'client-ca.crt'}",)
        assert cluster.etcdctl("get", "a", at=first) == "a\n1\n"
        assert (first.data_dir / "tls" / "client.key").stat().st_mode & 0o077 == 0
        first.terminate()
        cluster.flags = (*cluster.flags[:2], "--initial-cluster-token=of somebody else")
        first.start(cluster.members, *cluster.flags)
        first.await_answer()
        assert "deadline exceeded" in cluster.etcdctl("get", "a", *SOON, at=first, fails=True)


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, pki: Pki) -> None:
    certificate, _ = pki.issue("server")
    _, key = pki.issue("another")
    for cert, expected in ((certificate, "are not a certificate and its key"), (key, "cert-file")):
        done = subprocess.run(
            [
                str(PODLING), "store", f"--data-dir={tmp_path / 'data'}",
                "--listen-client-urls=https://127.0.0.1:1",
                "--advertise-client-urls=https://127.0.0.1:1",
                f"--cert-file={cert}", f"--key-file={key}",
            ],
            capture_output=True, text=True, timeout=60, check=False, env=ENVIRONMENT,
        )  # fmt: skip
        assert done.returncode == 1
        assert expected in done.stderr and "Traceback" not in done.stderr


def test_probes_are_answered_where_metrics_are(tmp_path: Path, pki: Pki) -> None:
    plain, secure = free_ports(2)
    with StoreCluster(tmp_path, 1, "https") as cluster:
        cluster.flags = (*pki.flags("", "server"), *pki.flags("peer-", "member"))
        cluster.flags += (
            f"--listen-metrics-urls=http://127.0.0.1:{plain},https://127.0.0.1:{secure}",
        )
        cluster.client_flags = pki.client_flags("client")
        cluster.start()
        url = f"http://127.0.0.1:{plain}"
        with urllib.request.urlopen(f"{url}/health", timeout=30) as answer:
            assert b'"true"' in answer.read()
        with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
            assert b"etcd_server_has_leader 1.0" in answer.read()
        context = ssl.create_default_context(cafile=pki.authority)
        context.load_cert_chain(*pki.issue("probe"))
        secure_url = f"https://127.0.0.1:{secure}/readyz"
        with urllib.request.urlopen(secure_url, timeout=30, context=context) as answer:
            assert answer.status == 200
