"""What scheduling needs to know of a node and of what already runs there; pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from podling.controlplane.scheduler.pod_info import HostPort, PodInfo, Resources
from podling.kube import meta, quantity
from podling.kube.meta import Object


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The node itself; equal if nothing changed that matters here."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Mapping[str, str], ...]
    unschedulable: bool
    allocatable: Resources
    """In billionths; `pods` counts pods."""


def node_facts(node: Object) -> NodeFacts:
    """Raises ValueError for a node that no API server would have accepted."""
    spec = node.get("spec") or {}
    status = node.get("status") or {}
    allocatable = status.get("allocatable") or status.get("capacity") or {}
    return NodeFacts(
        name=meta.name(node),
        labels=meta.labels(node),
        taints=tuple(spec.get("taints") or ()),
        unschedulable=bool(spec.get("unschedulable")),
        allocatable={name: quantity.parse(text).nanos for name, text in allocatable.items()},
    )


@dataclass(slots=True, eq=False)
class NodeInfo:
    """A node with the sums over its pods, which are kept while pods come and go."""

    facts: NodeFacts
    pods: dict[str, PodInfo] = field(default_factory=dict)
    requested: Counter[str] = field(default_factory=Counter)
    assumed_cpu: int = 0
    assumed_memory: int = 0
    host_ports: list[HostPort] = field(default_factory=list)
    groups: Counter[object] = field(default_factory=Counter)
    """How many pods of each group run here."""
    choosy: set[str] = field(default_factory=set)
    """Keys of the pods here that require others to stay away."""

    def add(self, pod: PodInfo) -> None:
        self.pods[pod.key] = pod
        self.requested.update(pod.requests)
        self.assumed_cpu += pod.assumed_cpu
        self.assumed_memory += pod.assumed_memory
        self.host_ports += pod.host_ports
        if pod.group is not None:
            self.groups[pod.group] += 1
        if pod.affinity.apart:
            self.choosy.add(pod.key)

    def remove(self, key: str) -> None:
        pod = self.pods.pop(key)
        self.choosy.discard(key)
        self.requested.subtract(pod.requests)
        self.assumed_cpu -= pod.assumed_cpu
        self.assumed_memory -= pod.assumed_memory
        for port in pod.host_ports:
            self.host_ports.remove(port)
        if pod.group is not None:
            self.groups[pod.group] -= 1
            if not self.groups[pod.group]:
                del self.groups[pod.group]
