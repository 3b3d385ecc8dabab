"""The etcd v3 API of one member: every method that it serves, by path. Free of the gRPC library."""

from collections.abc import Mapping

from podling.controlplane.etcdpb import auth_pb2, election_pb2, lock_pb2, rpc_pb2
from podling.controlplane.store.etcd.admission import Admission
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.etcd.methods import Method, methods_of
from podling.controlplane.store.etcd.rpc_auth import AuthService
from podling.controlplane.store.etcd.rpc_cluster import ClusterService
from podling.controlplane.store.etcd.rpc_election import ElectionService
from podling.controlplane.store.etcd.rpc_kv import KVService
from podling.controlplane.store.etcd.rpc_lease import LeaseService
from podling.controlplane.store.etcd.rpc_lock import LockService
from podling.controlplane.store.etcd.rpc_maintenance import MaintenanceService
from podling.controlplane.store.etcd.rpc_watch import WatchService
from podling.controlplane.store.store import Store

#: The generated modules whose services are served.
FILES = (rpc_pb2, auth_pb2, lock_pb2, election_pb2)


def methods(
    store: Store,
    writer: ResponseWriter,
    *,
    leader_timeout: float,
) -> Mapping[str, Method]:
    """Every method, by path.

    Watches that require a leader end after `leader_timeout` seconds without one.
    """
    servants = {
        "KV": KVService(store, writer),
        "Watch": WatchService(store, writer, leader_timeout=leader_timeout),
        "Lease": LeaseService(store, writer),
        "Cluster": ClusterService(store, writer),
        "Maintenance": MaintenanceService(store, writer),
        "Auth": AuthService(store, writer),
        "Lock": LockService(store, writer),
        "Election": ElectionService(store, writer),
    }
    admission = Admission(store.members)
    return {
        path: admission.admitted(method)
        for file in FILES
        for name, service in file.DESCRIPTOR.services_by_name.items()
        for path, method in methods_of(service, servants.get(name)).items()
    }
