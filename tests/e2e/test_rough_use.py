"""Bad input and rough use of the command line: each is answered with what to do, and no more."""

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from podling.launcher import cluster_file
from podling.launcher.forking import process_lock
from tests.e2e.shell import Shell
from tests.e2e.waiting import eventually

pytestmark = pytest.mark.e2e

SMALL = ("--replicas", "1", "--nodes", "1")


def pid(podling: Shell, name: str) -> int:
    """Of a running process of the cluster."""
    return int(json.loads((podling.root / "run" / f"{name}.lock").read_text())["pid"])


def run_pod(podling: Shell, *command: str) -> None:
    podling("kubectl", "run", "p", "--image=busybox", "--command", "--", *command)
    podling("kubectl", "wait", "--for=condition=Ready", "pod/p", "--timeout=60s")


def wal(root: Path) -> Path:
    (segment,) = (root / "data" / "replica-1" / "wal").glob("*.wal")
    return segment


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    used = len(data.rstrip(b"\0"))  # room may be set aside behind it
    data[used // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cluster that was stopped while it ran a pod."""
    podling = Shell(tmp_path_factory.mktemp("kept") / "c")
    podling("up", *SMALL)
    run_pod(podling, "sleep", "1000")
    podling("down")
    return podling.root


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda root: (root / "cluster.yaml").unlink(), ["cluster.yaml is missing", "restore it"]),
        (lambda root: shutil.rmtree(root / "data"), ["replica-1", "is gone", "restore"]),
        (lambda root: wal(root).unlink(), ["replica-1", "is gone", "restore"]),
        (lambda root: flip_a_byte(wal(root)), ["damaged at byte", "Nothing was changed"]),
        (
            lambda root: (root / "data" / "replica-1" / "member.json").write_text("{"),
            ["member.json", "restore it"],
        ),
        (
            lambda root: (root / "data" / "node-1" / "launcher" / "launcher.json").write_text("{"),
            ["launcher.json is damaged", "remove this file"],
        ),
        (lambda root: (root / "pki" / "ca.key").unlink(), ["authority", "restore ca.crt"]),
    ],
    ids=["cluster.yaml", "data", "log", "log-byte", "member.json", "launcher.json", "ca.key"],
)
def test_damage_is_refused_with_what_to_do_and_costs_nothing(
    podling: Shell, kept: Path, harm: Callable[[Path], object], words: list[str]
) -> None:
    shutil.copytree(kept, podling.root, ignore=shutil.ignore_patterns("*.sock", "busy"))
    harm(podling.root)
    before = {path: path.read_bytes().rstrip(b"\0") for path in podling.root.rglob("*.wal")}
    said = podling("up", fails=True)
    assert all(word in said for word in words), said
    assert "Traceback" not in said
    podling("down")
    podling.wait_until_gone()
    assert all(path.read_bytes().startswith(content) for path, content in before.items())


def test_what_is_paused_is_named_by_up(podling: Shell) -> None:
    podling("up", *SMALL)
    podling("chaos", "pause", "node-1")
    assert "podling chaos resume node-1" in podling("up", fails=True)
    podling("chaos", "resume", "node-1")
    podling("up")
    podling("chaos", "pause", "replica-1")
    podling("down")


def test_chaos_hits_only_what_runs_and_kills_only_what_it_can_start_again(podling: Shell) -> None:
    podling("up", *SMALL)
    for verb in ("kill", "pause", "resume"):
        assert 'pods "none" not found' in podling("chaos", verb, "pod/none", fails=True)
    podling("chaos", "kill", "node-1")
    for verb in ("kill", "pause", "resume"):
        assert "start it with: podling up" in podling("chaos", verb, "node-1", fails=True)
    podling("chaos", "restart", "node-1")
    os.kill(pid(podling, "forkserver"), signal.SIGKILL)
    replica = pid(podling, "replica-1")
    assert "podling up" in podling("chaos", "restart", "replica-1", fails=True)
    assert pid(podling, "replica-1") == replica
    podling("kubectl", "get", "nodes")


def test_down_ends_what_pods_left_when_everything_was_killed_at_once(podling: Shell) -> None:
    podling("up", *SMALL)
    run_pod(podling, "sh", "-c", "setsid sleep 1000 & exec sleep 1000")
    names = ("forkserver", "replica-1", "node-1-launcher", "node-1")
    for victim in [pid(podling, name) for name in names]:
        os.kill(victim, signal.SIGKILL)
    locks = [podling.root / "run" / f"{name}.lock" for name in names]
    eventually(
        lambda: not any(process_lock.holder(lock) for lock in locks), 60, lambda: "them to be dead"
    )
    assert "is down" in podling("kubectl", "get", "pods", fails=True)
    podling("down")
    podling.wait_until_gone()


def test_a_node_without_its_launcher_is_not_ready_and_up_brings_it_back(podling: Shell) -> None:
    podling("up", *SMALL)
    run_pod(podling, "sleep", "1000")
    os.kill(pid(podling, "node-1-launcher"), signal.SIGKILL)
    ready = ("kubectl", "wait", "--for=condition=Ready=false", "node/node-1", "--timeout=60s")
    podling(*ready)
    assert "launcher" in podling("kubectl", "describe", "node", "node-1")
    podling("up")
    podling("kubectl", "wait", "--for=condition=Ready", "node/node-1", "--timeout=60s")


def test_a_deleted_node_is_registered_again_by_up(podling: Shell) -> None:
    podling("up", *SMALL)
    podling("kubectl", "delete", "node", "node-1")
    assert "node-1 was deleted" in podling("up")
    podling("kubectl", "wait", "--for=condition=Ready", "node/node-1", "--timeout=60s")


def test_a_port_of_any_part_in_use_is_named(podling: Shell) -> None:
    podling("up", *SMALL)
    podling("down")
    cluster = cluster_file.load(podling.root / "cluster.yaml")
    (replica,), (node,) = cluster.replicas, cluster.nodes
    for address in (
        (replica.address, replica.api_port),
        (replica.address, replica.peer_port),
        (node.address, node.kubelet_port),
    ):
        with socket.create_server(address):
            for seconds in ("4", "40"):  # a busy machine needs longer to come upon it
                said = podling("up", "--timeout", seconds, fails=True)
                if "in use" in said:
                    break
        assert f"{address[0]}:{address[1]}" in said
        assert "in use" in said
        assert "Traceback" not in said
    podling("up")


def test_any_folder_will_do_however_long_its_path(tmp_path: Path) -> None:
    podling = Shell(tmp_path / ("a folder " * 20) / ("x" * 200))
    try:
        podling("up", *SMALL)
        podling("chaos", "restart", "replica-1")
        podling("status")
    finally:
        podling("down", "--purge")
    assert not podling.root.exists()


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    assert "is a file" in Shell(file)("up", fails=True)
    assert "cannot make" in Shell(file / "below")("up", fails=True)
    assert file.read_text() == "mine"
    for command in ("status", "kubectl", "chaos kill leader", "server replica-1", "node node-1"):
        said = Shell(tmp_path / "none")(*command.split(), fails=True)
        assert "podling up" in said, command
        assert not (tmp_path / "none").exists(), command


def test_those_that_start_and_stop_it_at_once_wait_for_each_other(podling: Shell) -> None:
    calls = (["up", *SMALL], ["up", *SMALL], ["down"], ["up", *SMALL])
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(podling, *call) for call in calls]:
            done.result()
    podling("up")
    podling("kubectl", "get", "nodes")
