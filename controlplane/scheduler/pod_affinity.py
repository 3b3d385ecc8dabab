"""Which pods may, should and must not be near each other ("Assigning Pods to Nodes"); pure.

Near means: on nodes with the same value of the label that a term names, a *domain*. For the pod in
question it is worked out once in which domains there are pods that its terms match, and which
domains are closed to it by the terms of pods already there. A pod that wants others like itself
near may be the first of them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from podling.controlplane.scheduler.node_info import NodeInfo
from podling.controlplane.scheduler.pod_info import PodInfo, PodTerm

NEAR: Final = "node(s) didn't match pod affinity rules"
APART: Final = "node(s) didn't match pod anti-affinity rules"
UNWELCOME: Final = "node(s) didn't satisfy existing pods anti-affinity rules"


@dataclass(frozen=True, slots=True)
class Found:
    """For one term: how many pods it matches in each domain."""

    topology_key: str
    counts: Mapping[str, int]

    def at(self, node: NodeInfo) -> int | None:
        """In the node's domain; None if it lies in none."""
        value = node.facts.labels.get(self.topology_key)
        return None if value is None else self.counts.get(value, 0)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What matters of all other pods for one pod."""

    near: tuple[Found, ...] = ()
    first: bool = False
    """It wants others like itself near, and there is none yet."""
    apart: tuple[Found, ...] = ()
    preferred: tuple[tuple[int, Found], ...] = ()
    closed: frozenset[tuple[str, str]] = frozenset()
    """Label and value of the domains where a pod requires this one to stay away."""


NOBODY: Final = Neighbours()


def neighbours(pod: PodInfo, nodes: Sequence[NodeInfo]) -> Neighbours:
    closed = _closed(pod, nodes)
    wishes = pod.affinity
    if not (wishes.near or wishes.apart or wishes.preferred):
        return Neighbours(closed=closed) if closed else NOBODY
    near = tuple(_find(term, nodes) for term in wishes.near)
    return Neighbours(
        near=near,
        first=not any(found.counts for found in near)
        and all(term.matches(pod) for term in wishes.near),
        apart=tuple(_find(term, nodes) for term in wishes.apart),
        preferred=tuple((weight, _find(term, nodes)) for weight, term in wishes.preferred),
        closed=closed,
    )


def objections(neighbours: Neighbours, node: NodeInfo) -> list[str]:
    """A filter: the reasons against the node."""
    if neighbours is NOBODY:
        return []
    for found in neighbours.near:
        count = found.at(node)
        if count is None or (count == 0 and not neighbours.first):
            return [NEAR]
    if any(found.at(node) for found in neighbours.apart):
        return [APART]
    labels = node.facts.labels
    if any(labels.get(key) == value for key, value in neighbours.closed):
        return [UNWELCOME]
    return []


def liking(neighbours: Neighbours, node: NodeInfo) -> int:
    """The weights of the preferences, as often as the node's domain has pods they match."""
    return sum(weight * (found.at(node) or 0) for weight, found in neighbours.preferred)


def _find(term: PodTerm, nodes: Sequence[NodeInfo]) -> Found:
    counts: Counter[str] = Counter()
    for node in nodes:
        value = node.facts.labels.get(term.topology_key)
        if value is not None:
            count = sum(term.matches(other) for other in node.pods.values())
            if count:
                counts[value] += count
    return Found(term.topology_key, counts)


def _closed(pod: PodInfo, nodes: Sequence[NodeInfo]) -> frozenset[tuple[str, str]]:
    closed: set[tuple[str, str]] = set()
    for node in nodes:
        for key in node.choosy:
            for term in node.pods[key].affinity.apart:
                value = node.facts.labels.get(term.topology_key)
                if value is not None and term.matches(pod):
                    closed.add((term.topology_key, value))
    return frozenset(closed)
