"""What a running cluster tells of itself."""

import json

import pytest

from podling.controlplane.store.machine import commands
from podling.testing.cluster import TestCluster

pytestmark = pytest.mark.e2e

METRICS = (
    'apiserver_request_total{code="200"',
    "etcd_server_has_leader 1.0",
    "etcd_disk_wal_fsync_duration_seconds_count",
    "podling_event_loop_lag_seconds_count",
    'podling_gc_pause_seconds_count{generation="2"}',
    "process_cpu_seconds_total",
)


def test_a_replica_tells_its_metrics(podling_cluster: TestCluster) -> None:
    text = podling_cluster.kubectl("get", "--raw", "/metrics")
    assert [name for name in METRICS if f"\n{name}" not in text] == []


def test_a_replica_tells_its_state(podling_cluster: TestCluster) -> None:
    state = json.loads(podling_cluster.kubectl("get", "--raw", "/debug/state"))
    assert state["replica"]["leader_id"]
    assert state["store"]["cluster_version"] == commands.VERSION
