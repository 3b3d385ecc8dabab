"""A member's files beside its process: saved, restored, recovered; real processes and etcdctl."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.store_members import ENVIRONMENT, ETCDCTL, PODLING, StoreCluster, StoreMember

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(ETCDCTL is None, reason="no etcdctl in PATH (apt install etcd-client)"),
]

KEYS = [f"key-{number}" for number in range(5)]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[StoreCluster]:
    with StoreCluster(tmp_path) as cluster:
        yield cluster.start()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[StoreCluster]:
    """The least of which one can lose the majority."""
    with StoreCluster(tmp_path, 2) as cluster:
        yield cluster.start()


def podling(*words: object, exit_code: int = 0) -> str:
    """Output of `podling store ...`."""
    done = subprocess.run(
        [str(PODLING), "store", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == exit_code, f"podling store {words}: {done.stdout}{done.stderr}"
    return done.stdout


def inspected(member: StoreMember) -> Any:
    return json.loads(podling("inspect", member.data_dir, "-o", "json"))


def fill(cluster: StoreCluster) -> None:
    for key in KEYS:
        cluster.etcdctl("put", key, "value")


def keys(cluster: StoreCluster, at: StoreMember) -> list[str]:
    told = cluster.etcdctl("get", "key-", "--prefix", "--keys-only", at=at)
    return [line for line in told.splitlines() if line]


def test_a_saved_state_begins_a_new_cluster(one: StoreCluster, tmp_path: Path) -> None:
    fill(one)
    (member,) = one.members
    saved, by_etcdctl = tmp_path / "saved.db", tmp_path / "etcdctl.db"
    podling("snapshot", "save", saved, "--endpoints", member.client_url)
    one.etcdctl("snapshot", "save", str(by_etcdctl), at=member)
    assert saved.read_bytes() == by_etcdctl.read_bytes()
    status = json.loads(podling("snapshot", "status", saved, "-w", "json"))
    assert (status["revision"], status["totalKey"]) == (1 + len(KEYS), len(KEYS))

    (tmp_path / "new").mkdir()
    with StoreCluster(tmp_path / "new", 2) as restored:
        cluster = ",".join(f"{each.name}={each.peer_url}" for each in restored.members)
        for each in restored.members:
            podling(
                "snapshot", "restore", saved, f"--name={each.name}", f"--data-dir={each.data_dir}",
                f"--initial-cluster={cluster}", f"--initial-advertise-peer-urls={each.peer_url}",
            )  # fmt: skip
        restored.start()
        for each in restored.members:
            assert keys(restored, each) == KEYS
        restored.etcdctl("put", "after", "value")
        assert inspected(restored.members[0])["clusterID"] != inspected(member)["clusterID"]


def test_a_member_goes_on_alone_when_the_majority_is_lost(two: StoreCluster) -> None:
    fill(two)
    survivor, lost = two.members
    for member in two.members:
        member.kill()
    assert inspected(survivor)["segments"][-1]["lastIndex"] > len(KEYS)
    assert "nothing was changed" in podling("recover", survivor.data_dir, exit_code=1)
    podling("recover", "--force-new-cluster", "--data-dir", survivor.data_dir)

    two.members.remove(lost)
    survivor.start([survivor, lost])
    survivor.await_answer()
    assert keys(two, survivor) == KEYS
    two.etcdctl("put", "after", "value")
    told = two.etcdctl("member", "list")
    assert [line.split(", ")[2] for line in told.splitlines()] == [survivor.name]

    # One that comes back all the same is told that it is not a member any more, and ends.
    two.members.append(lost)
    lost.start([survivor, lost])
    assert lost.ended() != 0
    assert "removed" in lost.said()
