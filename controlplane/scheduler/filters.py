"""May this pod run on this node? One pure function per reason why not.

A filter returns the reasons against the node, none if it has no objection. They are asked in the
order of `FILTERS`, and a node is out at the first objection; the texts are upstream's, because
people search for them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from podling.controlplane.scheduler import pod_affinity
from podling.controlplane.scheduler.node_info import NodeInfo
from podling.controlplane.scheduler.pod_affinity import NOBODY, Neighbours
from podling.controlplane.scheduler.pod_info import PodInfo, SpreadConstraint, Toleration
from podling.kube import quantity

UNSCHEDULABLE: Final = "node(s) were unschedulable"
AFFINITY: Final = "node(s) didn't match Pod's node affinity/selector"
PORTS: Final = "node(s) didn't have free ports for the requested pod ports"
TOO_MANY_PODS: Final = "Too many pods"
SPREAD: Final = "node(s) didn't match pod topology spread constraints"
SPREAD_LABEL: Final = (
    "node(s) didn't match pod topology spread constraints (missing required label)"
)

_CORDON: Final = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def untolerated(taint: Mapping[str, str]) -> str:
    return f"node(s) had untolerated taint {{{taint.get('key')}: {taint.get('value', '')}}}"


def insufficient(resource: str) -> str:
    return f"Insufficient {resource}"


@dataclass(frozen=True, slots=True)
class SpreadCounts:
    """For one constraint: how many matching pods each value of the node label has."""

    constraint: SpreadConstraint
    counts: Mapping[str, int]
    least: int


@dataclass(frozen=True, slots=True)
class Question:
    """One pod, with what is worked out once for all nodes."""

    pod: PodInfo
    spread: tuple[SpreadCounts, ...] = ()
    neighbours: Neighbours = NOBODY


def question(pod: PodInfo, nodes: Sequence[NodeInfo]) -> Question:
    """Counts the pods that matter for spreading; nearly free for a pod without constraints."""
    spread = tuple(_count(pod, constraint, nodes) for constraint in pod.spread)
    return Question(pod, spread, pod_affinity.neighbours(pod, nodes))


def _count(pod: PodInfo, constraint: SpreadConstraint, nodes: Sequence[NodeInfo]) -> SpreadCounts:
    """Nodes that the pod's affinity excludes do not count (nodeAffinityPolicy Honor)."""
    counts: dict[str, int] = {}
    for node in nodes:
        value = node.facts.labels.get(constraint.topology_key)
        if value is None or not matches_affinity(pod, node):
            continue
        counts[value] = counts.get(value, 0) + sum(
            other.namespace == pod.namespace and constraint.selector.matches(other.labels)
            for other in node.pods.values()
        )
    return SpreadCounts(constraint, counts, min(counts.values(), default=0))


def node_unschedulable(asked: Question, node: NodeInfo) -> list[str]:
    if not node.facts.unschedulable or tolerates(asked.pod.tolerations, _CORDON):
        return []
    return [UNSCHEDULABLE]


def taint_toleration(asked: Question, node: NodeInfo) -> list[str]:
    for taint in node.facts.taints:
        hard = taint.get("effect") in ("NoSchedule", "NoExecute")
        if hard and not tolerates(asked.pod.tolerations, taint):
            return [untolerated(taint)]
    return []


def tolerates(tolerations: Sequence[Toleration], taint: Mapping[str, str]) -> bool:
    return any(toleration.tolerates(taint) for toleration in tolerations)


def node_affinity(asked: Question, node: NodeInfo) -> list[str]:
    return [] if matches_affinity(asked.pod, node) else [AFFINITY]


def matches_affinity(pod: PodInfo, node: NodeInfo) -> bool:
    labels = node.facts.labels
    if any(labels.get(key) != value for key, value in pod.node_selector.items()):
        return False
    terms = pod.required_terms
    return terms is None or any(term.matches(node.facts.name, labels) for term in terms)


def node_ports(asked: Question, node: NodeInfo) -> list[str]:
    for wanted in asked.pod.host_ports:
        if any(wanted.clashes(used) for used in node.host_ports):
            return [PORTS]
    return []


def node_resources(asked: Question, node: NodeInfo) -> list[str]:
    """Requests against what the node can give; a node that names no limit of pods has none."""
    allocatable = node.facts.allocatable
    reasons = []
    room = allocatable.get("pods")
    if room is not None and (len(node.pods) + 1) * quantity.NANO > room:
        reasons.append(TOO_MANY_PODS)
    for name, amount in asked.pod.requests.items():
        if amount and amount > allocatable.get(name, 0) - node.requested[name]:
            reasons.append(insufficient(name))
    return reasons


def topology_spread(asked: Question, node: NodeInfo) -> list[str]:
    for spread in asked.spread:
        constraint = spread.constraint
        if not constraint.required:
            continue
        value = node.facts.labels.get(constraint.topology_key)
        if value is None:
            return [SPREAD_LABEL]
        itself = constraint.selector.matches(asked.pod.labels)
        if spread.counts.get(value, 0) + itself - spread.least > constraint.max_skew:
            return [SPREAD]
    return []


def inter_pod_affinity(asked: Question, node: NodeInfo) -> list[str]:
    return pod_affinity.objections(asked.neighbours, node)


FILTERS: Final[tuple[Callable[[Question, NodeInfo], list[str]], ...]] = (
    node_unschedulable,
    taint_toleration,
    node_affinity,
    node_ports,
    node_resources,
    topology_spread,
    inter_pod_affinity,
)
