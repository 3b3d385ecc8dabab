"""What a member tells a Prometheus server."""

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.metrics import StoreMetrics
from podling.controlplane.store.version import VERSION
from podling.controlplane.wal.disk import OsDisk
from tests.controlplane.store.members import Members


async def test_a_member_tells_how_it_stands(members: Members) -> None:
    (server,) = await members.start(1)
    registry = CollectorRegistry()
    StoreMetrics(registry).report(server.store)
    await server.store.put(rq.PutRequest(b"a", b"1"))

    def value(name: str) -> float | None:
        return registry.get_sample_value(name)

    status = server.store.status()
    assert value("etcd_server_has_leader") == 1
    assert value("etcd_server_is_leader") == 1
    assert value("etcd_server_leader_changes_seen_total") == 1
    assert value("etcd_server_proposals_committed_total") == status.replica.commit_index > 0
    assert value("etcd_server_proposals_applied_total") == status.replica.applied_index
    assert value("etcd_server_proposals_pending") == 0
    assert value("etcd_server_proposals_failed_total") == 0
    assert value("etcd_server_is_learner") == 0
    size = value("etcd_mvcc_db_total_size_in_bytes")
    assert value("etcd_mvcc_db_total_size_in_use_in_bytes") == size == status.size > 0
    assert value("etcd_debugging_mvcc_current_revision") == server.store.revision
    assert b"# TYPE etcd_server_leader_changes_seen_total counter" in generate_latest(registry)

    await members.stop(server)
    assert value("etcd_server_has_leader") is None


async def test_calls_are_told_by_method_and_by_how_they_ended(members: Members) -> None:
    (server,) = await members.start(1)
    registry = CollectorRegistry()
    metrics = StoreMetrics(registry)
    metrics.report(server.store)
    put = metrics.calls.of("/etcdserverpb.KV/Put", streams_in=False, streams_out=False)
    watch = metrics.calls.of("/etcdserverpb.Watch/Watch", streams_in=True, streams_out=True)
    put.started, put.succeeded, watch.started = 5, 1, 1
    for error in (errors.EmptyKey(), errors.EmptyKey(), ValueError(), asyncio.CancelledError()):
        put.failed(error)
    metrics.calls.received_bytes = 7

    text = generate_latest(registry).decode()
    labels = 'grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"'
    assert f"grpc_server_started_total{{{labels}}} 5.0" in text
    for code, count in {"OK": 1, "InvalidArgument": 2, "Unknown": 1, "Canceled": 1}.items():
        assert f'grpc_server_handled_total{{grpc_code="{code}",{labels}}} {count}.0' in text
    assert 'grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"} 1.0' in text
    assert "etcd_network_client_grpc_received_bytes_total 7.0" in text
    assert f'etcd_server_version{{server_version="{VERSION}"}} 1.0' in text


def test_durable_writes_are_timed_and_others_are_not(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    file = OsDisk(StoreMetrics(registry).synced).open(tmp_path / "file")
    file.write(0, b"a", sync=False)
    file.write(0, b"a", sync=True)
    file.close()

    assert registry.get_sample_value("etcd_disk_wal_fsync_duration_seconds_count") == 1
    assert (registry.get_sample_value("etcd_disk_wal_fsync_duration_seconds_sum") or 0) > 0
