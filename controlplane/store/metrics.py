"""What one member of the store counts, under etcd's names where the meaning is the same.

Numbers that the store keeps anyway are read when they are asked for; only the length of writes to
the log is noted as they happen.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from podling.controlplane.store import client_calls, errors
from podling.controlplane.store.client_calls import ClientCalls
from podling.controlplane.store.store import Store, StoreStatus
from podling.controlplane.store.version import VERSION

_SYNC_SECONDS = tuple(0.001 * 2**power for power in range(14))


class StoreMetrics(Collector):
    """One member's metrics, in the process's own registry.

    metrics = StoreMetrics(registry)
    server = StoreServer(..., disk=OsDisk(metrics.synced))
    metrics.report(server.store)
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._store: Store | None = None
        self.calls = ClientCalls()
        """To be given to the listeners, which count there."""
        self._synced = Histogram(
            "etcd_disk_wal_fsync_duration_seconds",
            "How long writing to the log took until it was durable.",
            buckets=_SYNC_SECONDS,
            registry=registry,
        )
        registry.register(self)

    def synced(self, seconds: float) -> None:
        """The log was written to and is durable. May be called from any thread."""
        self._synced.observe(seconds)

    def report(self, store: Store) -> None:
        """Tell of this store from now on."""
        self._store = store

    def collect(self) -> Iterable[Metric]:
        """While the store does not run, only what does not need it."""
        if self._store is None:
            return
        yield from _versions()
        yield from _calls(self.calls)
        try:
            status = self._store.status()
        except errors.Stopped:
            return
        for name, text, value in _gauges(status):
            yield GaugeMetricFamily(name, text, value)
        learner = self._store.members.is_learner
        yield GaugeMetricFamily("etcd_server_is_learner", "Whether it has no vote yet.", learner)
        for name, text, value in _counters(status):
            yield CounterMetricFamily(name, text, value)


def _versions() -> Iterable[Metric]:
    """Gauges that are 1; the label says it."""
    for whose, version in (("server", VERSION), ("cluster", VERSION.rpartition(".")[0])):
        label = f"{whose}_version"
        gauge = GaugeMetricFamily(f"etcd_{label}", "Which release of etcd it is.", labels=[label])
        gauge.add_metric([version], 1)
        yield gauge


def _calls(calls: ClientCalls) -> Iterable[Metric]:
    """The names are those of github.com/grpc-ecosystem/go-grpc-prometheus, which etcd uses."""
    labels = ["grpc_method", "grpc_service", "grpc_type"]
    started = CounterMetricFamily("grpc_server_started", "Calls that came in.", labels=labels)
    handled = CounterMetricFamily(
        "grpc_server_handled", "Calls that ended, by how.", labels=["grpc_code", *labels]
    )
    for each in calls.methods.values():
        values = [each.method, each.service, each.kind]
        started.add_metric(values, each.started)
        for status, count in {client_calls.OK: each.succeeded, **each.failures}.items():
            handled.add_metric([_go_name(status), *values], count)
    yield started
    yield handled
    for way, count in (("received", calls.received_bytes), ("sent", calls.sent_bytes)):
        name = f"etcd_network_client_grpc_{way}_bytes"
        yield CounterMetricFamily(name, f"Bytes of messages {way}, of clients.", count)


def _go_name(status: str) -> str:
    """INVALID_ARGUMENT is InvalidArgument there."""
    if status == client_calls.CANCELLED:
        return "Canceled"
    return status if status == client_calls.OK else status.title().replace("_", "")


def _gauges(status: StoreStatus) -> list[tuple[str, str, float]]:
    replica = status.replica
    return [
        ("etcd_server_has_leader", "Whether a leader is known.", replica.leader_id != 0),
        ("etcd_server_is_leader", "Whether this member leads.", replica.is_leader),
        # Gauges at etcd too, whatever their names say.
        (
            "etcd_server_proposals_committed_total",
            "Last log entry committed.",
            replica.commit_index,
        ),
        ("etcd_server_proposals_applied_total", "Last log entry applied.", replica.applied_index),
        ("etcd_server_proposals_pending", "Waiting for their result.", replica.pending_proposals),
        ("etcd_server_quota_backend_bytes", "Size at which writes are refused.", status.quota),
        (
            "etcd_mvcc_db_total_size_in_bytes",
            "Estimated size of all keys and history.",
            status.size,
        ),
        # Nothing is kept that is not in use: what etcd's alerts call fragmentation is none here.
        ("etcd_mvcc_db_total_size_in_use_in_bytes", "The same.", status.size),
        ("etcd_debugging_mvcc_current_revision", "Newest revision.", status.revision),
        ("etcd_debugging_mvcc_compact_revision", "Oldest that is kept.", status.compact_revision),
        ("etcd_debugging_mvcc_watcher_total", "Watches that are open.", status.watchers),
        ("podling_cluster_version", "Version of commands proposed.", status.cluster_version),
        ("podling_raft_term", "Term of this member.", replica.term),
        ("podling_raft_connected_peers", "Peers connected both ways.", len(replica.connected)),
    ]


def _counters(status: StoreStatus) -> list[tuple[str, str, float]]:
    replica = status.replica
    return [
        (
            "etcd_server_leader_changes_seen_total",
            "How often another leader became known.",
            replica.leader_changes,
        ),
        (
            "etcd_server_proposals_failed_total",
            "Proposals that ended without a result.",
            replica.failed_proposals,
        ),
    ]
