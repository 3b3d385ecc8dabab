"""What the benchmarks of whole clusters share: a cluster, and figures held against goals."""

import contextlib
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from podling.testing.cluster import TestCluster
from podling.testing.clusters import Clusters


@dataclass(frozen=True)
class Goal:
    """At most this much."""

    limit: float
    unit: str


@contextlib.contextmanager
def fresh_cluster(replicas: int = 3, nodes: int = 3) -> Iterator[TestCluster]:
    """A cluster that ends with this process, whichever way that ends."""
    clusters = Clusters()
    try:
        with clusters.fresh(replicas, nodes) as cluster:
            yield cluster
    finally:
        clusters.close()


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of all lies: `percentile(times, 0.9)`."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def report(what: str, values: Sequence[float], unit: str, goal: Goal | None = None) -> None:
    """One line: median, ninth decile, extremes, and the median as a ratio of the goal."""
    p50 = statistics.median(values)
    line = (
        f"{what:<44} p50 {p50:8.2f} {unit:<2}  p90 {percentile(values, 0.9):8.2f}  "
        f"min {min(values):8.2f}  max {max(values):8.2f}  n {len(values)}"
    )
    if goal is not None:
        line += f"   {p50 / goal.limit:.2f} of the goal of {goal.limit:g} {goal.unit}"
    print(line, flush=True)
