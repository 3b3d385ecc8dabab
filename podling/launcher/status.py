"""What a cluster on this machine looks like right now, for `podling status` and chaos.

Each replica is asked at its own address, all at once, because a paused one never answers.
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from podling.kube import conditions, meta
from podling.launcher import cluster_file
from podling.launcher.api_probe import ApiProbe, ProbeError
from podling.launcher.cluster_file import Cluster, NodeEntry, ReplicaEntry, launcher_of
from podling.launcher.forking import process_lock
from podling.launcher.layout import Layout

ASK_SECONDS = 1.0
STATE_PATH = "/debug/state"
"""Served by every API server to administrators."""


@dataclass(frozen=True, slots=True)
class ReplicaState:
    name: str
    role: str
    """leader, follower, candidate, pre-candidate; or `down`, or `silent` (it runs, mute)."""
    term: int | None
    commit_index: int | None
    applied_index: int | None
    pid: int | None


@dataclass(frozen=True, slots=True)
class NodeState:
    name: str
    ready: str
    """True, False or Unknown, as the cluster sees it."""
    address: str
    pid: int | None
    launcher_pid: int | None


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    directory: str
    api_url: str
    replicas: tuple[ReplicaState, ...]
    nodes: tuple[NodeState, ...]

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def leader(self) -> str | None:
        """The leader; of two that believe to be it, the one of the higher term."""
        leaders = [r for r in self.replicas if r.role == "leader"]
        return max(leaders, key=lambda r: r.term or 0).name if leaders else None


def observe(layout: Layout) -> ClusterStatus:
    """Ask every replica, and one of them for the nodes; raises ClusterFileError."""
    cluster = cluster_file.load(layout.cluster_file)
    probe = ApiProbe.of(layout)
    with ThreadPoolExecutor(len(cluster.replicas) + 1) as pool:
        asked = [pool.submit(_replica, layout, probe, replica) for replica in cluster.replicas]
        readiness = pool.submit(_readiness, cluster, probe).result()
        replicas = tuple(future.result() for future in asked)
    nodes = tuple(_node(layout, node, readiness) for node in cluster.nodes)
    return ClusterStatus(str(layout.root), cluster.api_url, replicas, nodes)


def _pid(layout: Layout, name: str) -> int | None:
    holder = process_lock.holder(layout.lock(name))
    return None if holder is None else holder.pid


def _replica(layout: Layout, probe: ApiProbe, replica: ReplicaEntry) -> ReplicaState:
    pid = _pid(layout, replica.name)
    if pid is None:
        return ReplicaState(replica.name, "down", None, None, None, None)
    try:
        told = probe.get_json(replica.address, replica.api_port, STATE_PATH, ASK_SECONDS)
    except ProbeError:
        return ReplicaState(replica.name, "silent", None, None, None, pid)
    state = told["replica"]
    numbers = (state["term"], state["commit_index"], state["applied_index"])
    return ReplicaState(replica.name, state["role"], *numbers, pid)


def _readiness(cluster: Cluster, probe: ApiProbe) -> dict[str, str]:
    """Each node's Ready condition; empty where no API server answers."""
    try:
        nodes = probe.get_json(cluster.api_address, cluster.api_port, "/api/v1/nodes", ASK_SECONDS)
    except ProbeError:
        return {}
    return {meta.name(node): conditions.status_of(node, "Ready") for node in nodes["items"]}


def _node(layout: Layout, node: NodeEntry, readiness: dict[str, str]) -> NodeState:
    return NodeState(
        name=node.name,
        ready=readiness.get(node.name, "Unknown"),
        address=node.address,
        pid=_pid(layout, node.name),
        launcher_pid=_pid(layout, launcher_of(node.name)),
    )
