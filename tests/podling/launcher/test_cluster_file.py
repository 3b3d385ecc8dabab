"""cluster.yaml: kept over restarts, refused with a text that tells what to do."""

import stat
from pathlib import Path

import pytest

from podling.launcher import cluster_file
from podling.launcher.cluster_file import Cluster, ClusterFileError, NodeEntry, ReplicaEntry

CLUSTER = Cluster(
    version=1,
    cluster_id=7,
    network="127.23.0.0/16",
    api_address="127.23.0.1",
    api_port=6443,
    dns_address="127.23.0.10",
    timings="local",
    replicas=(ReplicaEntry("replica-1", 11, "127.23.255.1", 6443, 2380, 6444),),
    nodes=(NodeEntry("node-1", "127.23.254.1", 10250, 53),),
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    cluster_file.save(CLUSTER, tmp_path / "cluster.yaml")
    assert cluster_file.load(tmp_path / "cluster.yaml") == CLUSTER


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    cluster_file.save(CLUSTER, tmp_path / "cluster.yaml")
    assert stat.S_IMODE((tmp_path / "cluster.yaml").stat().st_mode) == 0o600


def test_services_and_pods_share_no_address() -> None:
    assert CLUSTER.service_network == "127.23.0.0/18"
    assert CLUSTER.pod_network == "127.23.64.0/18"


def test_each_node_has_a_launcher_started_before_it() -> None:
    assert CLUSTER.process_names == ("replica-1", "node-1-launcher", "node-1")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("version: 2\n", "has version 2"),
        ("version: [\n", "cannot read"),
        ("- a list\n", "is damaged"),
        ("version: 1\nname: x\n", "is damaged"),
        ("", "is damaged"),
    ],
)
def test_a_bad_file_is_refused_with_what_to_do(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(content)
    with pytest.raises(ClusterFileError, match=said):
        cluster_file.load(path)
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("api_port: 6443", "api_port: many", "api_port cannot be 'many'"),
        ("api_port: 6443", "api_port: 99999", "api_port cannot be 99999"),
        ("api_port: 6443", "api_port: true", "api_port cannot be True"),
        ("network: 127.23.0.0/16", "network: bogus", "'bogus'"),
        ("network: 127.23.0.0/16", "network: 127.23.0.0/30", "too small"),
        ("api_address: 127.23.0.1", "api_address: here", "'here'"),
        ("timings: local", "timings: slow", "timings 'slow' are none of local, upstream"),
        ("name: replica-1", "name: ../../x", "'../../x' cannot be a name"),
        ("name: replica-1", "name: node-1", "'node-1' cannot be a name"),
        ("peer_port: 2380", "", "is damaged"),
    ],
)
def test_a_bad_value_is_refused_before_anything_starts(
    tmp_path: Path, good: str, bad: str, said: str
) -> None:
    path = tmp_path / "cluster.yaml"
    cluster_file.save(CLUSTER, path)
    text = path.read_text()
    assert good in text
    path.write_text(text.replace(good, bad, 1))
    with pytest.raises(ClusterFileError, match=f"{said}.*podling down --purge"):
        cluster_file.load(path)


def test_where_there_is_no_cluster_the_way_to_make_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterFileError, match="podling up"):
        cluster_file.load(tmp_path / "cluster.yaml")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ClusterFileError, match="'replica-9'; it has: replica-1"):
        CLUSTER.replica("replica-9")
