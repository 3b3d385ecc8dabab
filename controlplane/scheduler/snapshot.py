"""The cluster as scheduling sees it: nodes, what is bound to them and what was just given to them.

A pod that was decided upon counts from that moment (`assume`), long before the API server tells of
its binding, so decisions can follow one another without waiting. Pure.
"""

from dataclasses import dataclass, replace

from podling.controlplane.scheduler.node_info import NodeFacts, NodeInfo
from podling.controlplane.scheduler.pod_info import PodInfo


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one decision reads. It is of now: the next change of the cluster shows through it."""

    nodes: tuple[NodeInfo, ...]
    """Every node there is, in an order that is stable while none comes or goes."""


class Cluster:
    """Nodes and the pods on them, kept up to date by what is told."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeInfo] = {}
        #: Where each pod is counted, also on nodes that are not known (yet, or any more).
        self._pods: dict[str, PodInfo] = {}
        self._homeless: dict[str, set[str]] = {}
        self._assumed: set[str] = set()
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        if self._snapshot is None:
            self._snapshot = Snapshot(tuple(self._nodes.values()))
        return self._snapshot

    def set_node(self, facts: NodeFacts) -> bool:
        """The node is so; whether that is news."""
        node = self._nodes.get(facts.name)
        if node is not None:
            changed = node.facts != facts
            node.facts = facts
            return changed
        node = self._nodes[facts.name] = NodeInfo(facts)
        self._snapshot = None
        for key in self._homeless.pop(facts.name, ()):
            node.add(self._pods[key])
        return True

    def remove_node(self, name: str) -> None:
        node = self._nodes.pop(name, None)
        if node is None:
            return
        self._snapshot = None
        if node.pods:
            self._homeless[name] = set(node.pods)

    def set_pod(self, pod: PodInfo) -> None:
        """The API server says that `pod` is bound; an assumption about it is settled."""
        self.remove_pod(pod.key)
        self._place(pod)

    def remove_pod(self, key: str) -> bool:
        """The pod needs no node any more; whether that makes room somewhere."""
        self._assumed.discard(key)
        pod = self._pods.pop(key, None)
        if pod is None:
            return False
        if pod.node_name in self._nodes:
            self._nodes[pod.node_name].remove(key)
        else:
            keys = self._homeless[pod.node_name]
            keys.discard(key)
            if not keys:
                del self._homeless[pod.node_name]
        return True

    def assume(self, pod: PodInfo, node_name: str) -> None:
        """`pod` was given to the node, and the API server is about to be told."""
        self.set_pod(replace(pod, node_name=node_name))
        self._assumed.add(pod.key)

    def is_assumed(self, pod: PodInfo) -> bool:
        """Whether this very pod, and not an earlier one of its name, was given to a node."""
        return pod.key in self._assumed and self._pods[pod.key].uid == pod.uid

    def forget(self, key: str) -> bool:
        """The API server refused the binding of an assumed pod; whether it was still assumed."""
        return key in self._assumed and self.remove_pod(key)

    def _place(self, pod: PodInfo) -> None:
        self._pods[pod.key] = pod
        node = self._nodes.get(pod.node_name)
        if node is not None:
            node.add(pod)
        else:
            self._homeless.setdefault(pod.node_name, set()).add(pod.key)
