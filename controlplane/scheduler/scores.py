"""How good is this node for this pod? One pure function per point of view.

A score gives every node a number from 0 to 100, the better the higher, all nodes together so that
it can be relative. `SCORES` weighs them against each other. A point of view that does not matter
for the pod gives nothing, and costs nothing.
"""

from collections.abc import Callable, Sequence
from typing import Final

from podling.controlplane.scheduler import pod_affinity
from podling.controlplane.scheduler.filters import Question, tolerates
from podling.controlplane.scheduler.node_info import NodeInfo

BEST: Final = 100.0

Score = Callable[[Question, Sequence[NodeInfo]], list[float] | None]


def spreading(asked: Question, nodes: Sequence[NodeInfo]) -> list[float] | None:
    """Few pods of the same owner (or labels) on one node, so that losing it loses few of them."""
    group = asked.pod.group
    if group is None:
        return None
    return _fewest_is_best([float(node.groups.get(group, 0)) for node in nodes])


def topology_spreading(asked: Question, nodes: Sequence[NodeInfo]) -> list[float] | None:
    """The wishes of `topologySpreadConstraints` that are not requirements."""
    wishes = [spread for spread in asked.spread if not spread.constraint.required]
    if not wishes:
        return None
    totals = [0.0] * len(nodes)
    for spread in wishes:
        most = max(spread.counts.values(), default=0)
        for position, node in enumerate(nodes):
            value = node.facts.labels.get(spread.constraint.topology_key)
            # A node without the label lies in no domain at all: as bad as the fullest one.
            totals[position] += most if value is None else spread.counts.get(value, 0)
    return _fewest_is_best(totals)


def least_allocated(asked: Question, nodes: Sequence[NodeInfo]) -> list[float] | None:
    """Room for cpu and memory that would be left, as a share of what there is."""
    pod = asked.pod
    result = []
    for node in nodes:
        allocatable = node.facts.allocatable
        cpu = _free(allocatable.get("cpu", 0), node.assumed_cpu + pod.assumed_cpu)
        memory = _free(allocatable.get("memory", 0), node.assumed_memory + pod.assumed_memory)
        result.append((cpu + memory) / 2)
    return result


def preferred_affinity(asked: Question, nodes: Sequence[NodeInfo]) -> list[float] | None:
    """The weights of the preferred node affinities that the node fulfils."""
    wishes = asked.pod.preferred_terms
    if not wishes:
        return None
    totals = [
        float(
            sum(
                weight
                for weight, term in wishes
                if term.matches(node.facts.name, node.facts.labels)
            )
        )
        for node in nodes
    ]
    most = max(totals)
    return [total * BEST / most for total in totals] if most else None


def neighbourhood(asked: Question, nodes: Sequence[NodeInfo]) -> list[float] | None:
    """The pods it prefers near it are near, and those it does not are far."""
    wishes = asked.neighbours.preferred
    if not wishes:
        return None
    totals = [float(pod_affinity.liking(asked.neighbours, node)) for node in nodes]
    return _fewest_is_best([-total for total in totals])


def tolerated_taints(asked: Question, nodes: Sequence[NodeInfo]) -> list[float] | None:
    """Few taints that would rather not have this pod."""
    if not any(node.facts.taints for node in nodes):
        return None
    return _fewest_is_best(
        [
            float(
                sum(
                    taint.get("effect") == "PreferNoSchedule"
                    and not tolerates(asked.pod.tolerations, taint)
                    for taint in node.facts.taints
                )
            )
            for node in nodes
        ]
    )


def _free(allocatable: int, used: int) -> float:
    return BEST * (allocatable - used) / allocatable if used < allocatable else 0.0


def _fewest_is_best(counts: list[float]) -> list[float] | None:
    """None if all are alike, so that nothing can be said."""
    least, most = min(counts), max(counts)
    if least == most:
        return None
    return [BEST * (most - count) / (most - least) for count in counts]


#: Weights as upstream's default plug-ins have them; spreading counts most here, as it is what
#: keeps a service alive when a node dies.
SCORES: Final[tuple[tuple[float, Score], ...]] = (
    (3.0, tolerated_taints),
    (2.0, preferred_affinity),
    (4.0, spreading),
    (2.0, topology_spreading),
    (2.0, neighbourhood),
    (1.0, least_allocated),
)
