"""The life of a cluster, by the command line as a user has it."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from podling.launcher import cluster_file
from tests.e2e.shell import Shell
from tests.e2e.waiting import eventually

pytestmark = pytest.mark.e2e

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "grpc_client.py"


def test_a_cluster_goes_down_without_a_trace_and_comes_up_with_its_objects(podling: Shell) -> None:
    podling("up", "--replicas", "3", "--nodes", "1")
    podling("kubectl", "create", "configmap", "kept", "--from-literal=a=b")
    podling("kubectl", "run", "sleeper", "--image=busybox", "--command", "--", "sleep", "1000")
    podling("kubectl", "wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s")
    before = cluster_file.load(podling.root / "cluster.yaml")
    podling("down")
    podling.wait_until_gone()
    for replica in before.replicas:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((replica.address, replica.api_port), timeout=1)
    podling("up")
    assert cluster_file.load(podling.root / "cluster.yaml") == before
    assert "kept" in podling("kubectl", "get", "configmaps")
    podling("kubectl", "wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s")


def test_up_again_starts_only_what_is_missing(podling: Shell) -> None:
    podling("up", "--nodes", "1")
    before = podling.status()
    podling("up")
    (node,), (same,) = before["nodes"], podling.status()["nodes"]
    assert (same["pid"], same["launcher_pid"]) == (node["pid"], node["launcher_pid"])
    podling("chaos", "kill", "replica-2")
    podling("chaos", "kill", "node-1")
    podling("up")
    after = podling.status()
    kept = [(r["name"], r["pid"]) for r in before["replicas"] if r["name"] != "replica-2"]
    assert set(kept) <= {(r["name"], r["pid"]) for r in after["replicas"]}
    assert all(r["pid"] for r in after["replicas"])
    eventually(
        lambda: podling.status()["nodes"][0]["ready"] == "True", 60, lambda: "the node's readiness"
    )


def test_up_again_tells_which_options_it_does_not_follow(podling: Shell) -> None:
    podling("up", "--replicas", "1", "--nodes", "1")
    said = podling("up", "--replicas", "3", "--nodes", "1")
    assert "--replicas is for a new cluster; this one keeps its own: 1" in said
    assert "--nodes is" not in said
    assert "for a new cluster" not in podling("up")


def test_the_fork_server_is_replaced_without_a_loss(podling: Shell) -> None:
    podling("up", "--replicas", "1", "--nodes", "1")
    lock = json.loads((podling.root / "run" / "forkserver.lock").read_text())
    os.kill(lock["pid"], signal.SIGKILL)
    podling("kubectl", "get", "nodes")
    podling("up")
    podling("chaos", "restart", "replica-1")
    eventually(lambda: podling.status()["replicas"][0]["role"] == "leader", 60, lambda: "a leader")
    podling("kubectl", "get", "nodes")


def test_clusters_run_side_by_side(podling: Shell, tmp_path: Path) -> None:
    other = Shell(tmp_path / "d")
    try:
        podling("up", "--replicas", "1", "--nodes", "1")
        other("up", "--replicas", "1", "--nodes", "1")
        other("kubectl", "create", "configmap", "mine")
        assert "mine" not in podling("kubectl", "get", "configmaps")
    finally:
        other("down", "--purge")


def test_a_program_sees_the_cluster_over_grpc(podling: Shell) -> None:
    podling("up", "--replicas", "1", "--nodes", "1")
    with subprocess.Popen(
        [sys.executable, EXAMPLE, podling.root], stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "leader: replica-1\n"
        podling("kubectl", "run", "seen", "--image=busybox", "--command", "--", "sleep", "9")
        assert client.stdout.readline() == "ADDED seen\n"
        client.kill()


def test_a_port_in_use_is_named(podling: Shell) -> None:
    podling("up", "--replicas", "1", "--nodes", "0")
    cluster = cluster_file.load(podling.root / "cluster.yaml")
    podling("down")
    with socket.create_server((cluster.api_address, cluster.api_port)):
        said = podling("up", fails=True, taken=True)
    assert f"{cluster.api_address}:{cluster.api_port}" in said
    assert "in use" in said
    podling("up")


def test_a_damaged_cluster_file_is_refused(podling: Shell) -> None:
    podling("up", "--replicas", "1", "--nodes", "0")
    podling("down")
    file = podling.root / "cluster.yaml"
    good = file.read_text()
    file.write_text("version: 1\nnonsense")
    assert "cluster.yaml" in podling("up", fails=True)
    file.write_text(good)
    podling("up")


def test_a_cluster_ends_with_the_pytest_that_made_it(tmp_path: Path) -> None:
    where = tmp_path / "where"
    (tmp_path / "test_it.py").write_text(
        "import pathlib, time\n"
        "def test_it(podling_namespace):\n"
        "    podling_namespace.kubectl('run', 'p', '--image=busybox', '--command', '--',\n"
        "                              'sleep', '1000')\n"
        "    podling_namespace.kubectl('wait', '--for=condition=Ready', 'pod/p', '--timeout=80s')\n"
        f"    pathlib.Path({str(where)!r}).write_text(str(podling_namespace.kubeconfig))\n"
        "    time.sleep(1000)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tmp_path / "test_it.py"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    ) as inner:
        eventually(lambda: bool(where.read_text()), 120, lambda: "the inner test")
        shell = Shell(Path(where.read_text()).parent)
        assert len(shell.processes()) >= 4, "fork server, replica, launcher, node"
        inner.kill()
    shell.wait_until_gone()
    eventually(lambda: not shell.root.exists(), 60, lambda: f"{shell.root} to be removed")
