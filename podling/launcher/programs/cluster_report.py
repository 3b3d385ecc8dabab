"""What a replica tells of itself and of the cluster, in the words of each that asks."""

import dataclasses
from collections.abc import Mapping

from podling.controlplane.apiserver.cluster_grpc.server import ClusterReport, ReplicaReport
from podling.controlplane.replica.status import ReplicaStatus
from podling.controlplane.store.store import StoreStatus
from podling.launcher.cluster_file import Cluster


def state(status: StoreStatus) -> Mapping[str, object]:
    """For /debug/state, as JSON allows it."""
    replica = dataclasses.asdict(status.replica)
    replica["peers"] = {f"{member:x}": peer for member, peer in replica["peers"].items()}
    replica["connected"] = [f"{member:x}" for member in sorted(replica["connected"])]
    store = {
        field.name: getattr(status, field.name)
        for field in dataclasses.fields(status)
        if field.name != "replica"
    }
    return {"replica": replica, "store": store}


def cluster_report(cluster: Cluster, status: ReplicaStatus) -> ClusterReport:
    """For `podling.cluster.v1`: of the others it is known only who leads."""
    leaders = [r.name for r in cluster.replicas if r.member_id == status.leader_id]
    replicas = []
    for entry in cluster.replicas:
        address = f"{entry.address}:{entry.peer_port}"
        if entry.member_id == status.member_id:
            role = status.role.replace("pre-", "")
            numbers = (status.term, status.commit_index, status.applied_index)
            replicas.append(ReplicaReport(entry.name, address, role, *numbers))
        else:
            role = "leader" if entry.name in leaders else ""
            replicas.append(ReplicaReport(entry.name, address, role))
    return ClusterReport(status.name, leaders[0] if leaders else "", tuple(replicas))
