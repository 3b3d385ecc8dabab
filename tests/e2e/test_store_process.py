"""`podling store` as a process: it starts, is killed, starts again, is told to stop, says no."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from podling.launcher.waiting import wait_for
from tests.e2e.store_members import ENVIRONMENT, ETCDCTL, FAILOVER, PODLING, StoreCluster
from tests.e2e.waiting import fetch
from tests.ports import free_ports

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(ETCDCTL is None, reason="no etcdctl in PATH (apt install etcd-client)"),
]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[StoreCluster]:
    with StoreCluster(tmp_path) as cluster:
        yield cluster.start()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[StoreCluster]:
    with StoreCluster(tmp_path, 3) as cluster:
        yield cluster.start()


def refused(folder: Path, *flags: str) -> str:
    """What `podling store` says of flags that it does not take."""
    done = subprocess.run(
        [str(PODLING), "store", f"--data-dir={folder / 'data'}", *flags],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert not (folder / "data" / "wal").exists(), "nothing is started"
    return done.stderr


def test_what_was_acknowledged_is_there_after_a_kill(one: StoreCluster) -> None:
    for number in range(20):
        one.etcdctl("put", f"k{number}", "v")
    one.members[0].kill()
    one.start()
    assert one.etcdctl("get", "k", "--prefix", "--keys-only").count("k") == 20


def test_one_of_three_may_be_killed(tmp_path: Path) -> None:
    with StoreCluster(tmp_path, 3, timing=FAILOVER) as cluster:
        cluster.start().eventually("put", "a", "1")
        leader = cluster.leader()
        leader.kill()
        cluster.eventually("put", "a", "2")
        cluster.start()
        assert cluster.eventually("get", "a", at=leader) == "a\n2\n"


def test_a_leader_that_is_told_to_stop_hands_over_first(three: StoreCluster) -> None:
    leader = three.leader()
    term = json.loads(three.etcdctl("endpoint", "status", "-w=json"))[0]["Status"]["raftTerm"]
    assert leader.terminate() == 0
    successor = three.leader()
    assert successor is not leader
    after = json.loads(three.etcdctl("endpoint", "status", "-w=json"))[0]["Status"]["raftTerm"]
    assert after == term + 1, "one election, at once"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_member_that_waits_for_others_stops_when_told(tmp_path: Path, number: int) -> None:
    with StoreCluster(tmp_path, 3) as cluster:
        lonely = cluster.members[0]
        lonely.start(cluster.members)
        lonely.await_answer()
        assert lonely.end(number) == 0


def test_a_watch_ends_when_its_member_stops(one: StoreCluster) -> None:
    member = one.members[0]
    one.etcdctl("put", "a", "1")
    watch = subprocess.Popen(
        [str(ETCDCTL), f"--endpoints={member.client_url}", "watch", "a", "--rev=1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT | {"ETCDCTL_API": "3"},
    )
    try:
        assert watch.stdout is not None
        assert watch.stdout.readline() == b"PUT\n", "it has begun"
        assert member.terminate() == 0
    finally:
        watch.kill()
        watch.communicate()


def test_the_data_directory_wins_over_the_flags(one: StoreCluster) -> None:
    """As in etcd, so that a member can be started by flags that describe another beginning."""
    one.etcdctl("put", "a", "1")
    before = one.etcdctl("member", "list")
    (member,) = one.members
    member.terminate()
    member.start([member], "--initial-cluster-token=another")
    member.await_answer()
    assert one.etcdctl("get", "a") == "a\n1\n"
    assert one.etcdctl("member", "list") == before


def test_a_directory_is_used_by_one_process_at_a_time(one: StoreCluster, tmp_path: Path) -> None:
    (member,) = one.members
    command = [
        word
        for word in member.command(one.members)
        if not word.startswith("--listen") and "advertise" not in word and "cluster" not in word
    ]
    again = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=ENVIRONMENT
    )
    assert again.returncode == 1
    assert "is in use by another process" in again.stderr


def test_a_port_that_is_taken_is_named(one: StoreCluster, tmp_path: Path) -> None:
    taken = one.members[0].client_url
    done = subprocess.run(
        [
            str(PODLING), "store", f"--data-dir={tmp_path / 'other'}",
            f"--listen-client-urls={taken}", f"--advertise-client-urls={taken}",
            "--listen-peer-urls=http://127.0.0.1:0",
        ],
        capture_output=True, text=True, timeout=60, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 1
    assert taken.removeprefix("http://") in done.stderr


def test_flags_that_are_wrong_are_told_in_a_line(tmp_path: Path) -> None:
    assert refused(tmp_path, "--listen-peer-urls=127.0.0.1:1").startswith(
        "Error: --listen-peer-urls"
    )


def test_a_directory_of_etcd_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data" / "member").mkdir(parents=True)
    assert "is a data directory of etcd" in refused(tmp_path)


def test_a_stop_is_heard_while_the_log_is_read(tmp_path: Path) -> None:
    """Even before there is an event loop."""
    with StoreCluster(tmp_path) as cluster:
        (member,) = cluster.members
        member.start(cluster.members)
        assert member.process is not None
        assert member.terminate() in (0, -signal.SIGTERM)


def test_flags_as_kubeadm_writes_them(tmp_path: Path) -> None:
    """Former names of flags, booleans with a value, probes on an address of their own."""
    (metrics,) = free_ports(1)
    with StoreCluster(tmp_path) as cluster:
        cluster.flags = (
            "--client-cert-auth=false",
            "--experimental-watch-progress-notify-interval=5s",
            f"--listen-metrics-urls=http://127.0.0.1:{metrics}",
            "--snapshot-count=10000",
            "--logger=zap",
            "--log-level=debug",
            f"--log-outputs=stderr,{tmp_path / 'more.log'}",
        )
        cluster.start()
        assert fetch(f"http://127.0.0.1:{metrics}/readyz") == "ok\n"
        assert "etcd_server_has_leader 1.0" in fetch(f"http://127.0.0.1:{metrics}/metrics")
        assert "started:" in (tmp_path / "more.log").read_text()


def test_what_data_cost_in_memory_is_measured(tmp_path: Path) -> None:
    """etcdctl asks the first of its endpoints for metrics, and the others to take the data."""
    (metrics,) = free_ports(1)
    with StoreCluster(tmp_path) as cluster:
        cluster.flags = (f"--listen-metrics-urls=http://127.0.0.1:{metrics}",)
        cluster.start()
        urls = (f"http://127.0.0.1:{metrics}", cluster.members[0].client_url)
        told = cluster.etcdctl("check", "datascale", "--load=s", urls=urls)
        assert "PASS: Approximate system memory used" in told


def test_history_is_forgotten_by_itself(tmp_path: Path) -> None:
    with StoreCluster(tmp_path) as cluster:
        cluster.flags = ("--auto-compaction-retention=1s",)
        cluster.start()
        cluster.etcdctl("put", "a", "1")
        cluster.etcdctl("put", "a", "2")
        wait_for(
            lambda: "revision 3 is forgotten" in cluster.members[0].said(),
            60,
            lambda: cluster.members[0].said(),
        )
        assert "compacted" in cluster.etcdctl("get", "a", "--rev=1", fails=True)
