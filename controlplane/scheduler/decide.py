"""The decision: which node gets this pod, or why none does. Pure.

Filters leave the nodes that may, scores say which is best, dice choose among equals. In a large
cluster not every node is asked: from a place that the dice choose, nodes are tried until `ENOUGH`
will do (upstream's percentageOfNodesToScore has the same purpose).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from podling.controlplane.scheduler.filters import FILTERS, Question, question
from podling.controlplane.scheduler.node_info import NodeInfo
from podling.controlplane.scheduler.pod_info import PodInfo
from podling.controlplane.scheduler.scores import SCORES
from podling.controlplane.scheduler.snapshot import Snapshot

if TYPE_CHECKING:
    from random import Random

ENOUGH: Final = 100
"""Nodes that may have the pod, after which no further one is asked."""

NO_NODES: Final = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True)
class Placement:
    """The pod goes here."""

    node_name: str
    feasible: int
    """How many nodes would have done, as far as they were asked."""


@dataclass(frozen=True, slots=True)
class Unschedulable:
    """No node will do."""

    message: str
    """`0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`"""


def decide(pod: PodInfo, snapshot: Snapshot, dice: "Random") -> Placement | Unschedulable:
    if not snapshot.nodes:
        return Unschedulable(NO_NODES)
    asked = question(pod, snapshot.nodes)
    reasons: Counter[str] = Counter()
    feasible: list[NodeInfo] = []
    for node in _from_anywhere(snapshot.nodes, dice):
        against = _objections(asked, node)
        if against:
            reasons.update(against)
            continue
        feasible.append(node)
        if len(feasible) == ENOUGH:
            break
    if not feasible:
        return Unschedulable(_message(len(snapshot.nodes), reasons))
    return Placement(_best(asked, feasible, dice).facts.name, len(feasible))


def _from_anywhere(nodes: Sequence[NodeInfo], dice: "Random") -> Iterator[NodeInfo]:
    start = dice.randrange(len(nodes)) if len(nodes) > ENOUGH else 0
    yield from nodes[start:]
    yield from nodes[:start]


def _objections(asked: Question, node: NodeInfo) -> list[str]:
    for objects in FILTERS:
        if against := objects(asked, node):
            return against
    return []


def _best(asked: Question, nodes: Sequence[NodeInfo], dice: "Random") -> NodeInfo:
    if len(nodes) == 1:
        return nodes[0]
    totals = [0.0] * len(nodes)
    for weight, score in SCORES:
        points = score(asked, nodes)
        if points is not None:
            totals = [total + weight * each for total, each in zip(totals, points, strict=True)]
    best = max(totals)
    return dice.choice([node for node, total in zip(nodes, totals, strict=True) if total == best])


def _message(nodes: int, reasons: Counter[str]) -> str:
    """Upstream's FitError: counts and reasons, sorted as texts."""
    parts = sorted(f"{count} {reason}" for reason, count in reasons.items())
    return f"0/{nodes} nodes are available: {', '.join(parts)}."
