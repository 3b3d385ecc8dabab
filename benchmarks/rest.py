#!/usr/bin/env python3
"""What a cluster without pods costs while nobody asks it for anything: memory and CPU.

    benchmarks/rest.py [--runs 3] [--seconds 20] [--settle 5]

Memory is the proportional set size of all processes, in which a page shared by n processes counts
1/n for each; CPU is user and system time over wall time, in percent of one core.
"""

import argparse
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from measuring import Goal, fresh_cluster, report

from podling.launcher.forking import fork_client
from podling.testing.cluster import TestCluster

MEMORY = Goal(350, "MB")
CPU = Goal(8, "% of a core")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Of one process, or of several together."""

    pss: float = 0.0
    private: float = 0.0
    """Megabytes, both."""
    user: float = 0.0
    system: float = 0.0
    """Percent of a core, both."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.pss + other.pss,
            self.private + other.private,
            self.user + other.user,
            self.system + other.system,
        )


def memory(pid: int) -> tuple[float, float]:
    """Proportional and private megabytes."""
    pss = private = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        if name == "Pss:":
            pss = int(value)
        elif name in ("Private_Clean:", "Private_Dirty:"):
            private += int(value)
    return pss * 1024 / 1e6, private * 1024 / 1e6


def cpu_seconds(pid: int) -> tuple[float, float]:
    """User and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def measure(cluster: TestCluster, seconds: float) -> dict[str, Usage]:
    names = (fork_client.NAME, *cluster.launcher.load().process_names)
    pids = {name: pid for name in names if (pid := cluster.launcher.pid(name)) is not None}
    began = time.perf_counter()
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    after = {name: cpu_seconds(pid) for name, pid in pids.items()}
    share = 100 / (time.perf_counter() - began)
    return {
        name: Usage(
            *memory(pid),
            (after[name][0] - before[name][0]) * share,
            (after[name][1] - before[name][1]) * share,
        )
        for name, pid in pids.items()
    }


def show(usages: dict[str, Usage]) -> None:
    print(f"{'process':<18} {'PSS MB':>8} {'private':>8} {'user %':>8} {'system %':>8}")
    for name, usage in usages.items():
        print(
            f"{name:<18} {usage.pss:8.1f} {usage.private:8.1f} "
            f"{usage.user:8.2f} {usage.system:8.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--settle", type=float, default=5.0, help="seconds before measuring")
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=3)
    options = parser.parse_args()
    rounds = []
    with fresh_cluster(options.replicas, options.nodes) as cluster:
        time.sleep(options.settle)
        for _ in range(options.runs):
            rounds.append(measure(cluster, options.seconds))
    show(rounds[-1])
    totals = [sum(usages.values(), Usage()) for usages in rounds]
    report("proportional set size", [usage.pss for usage in totals], "MB", MEMORY)
    report("CPU", [usage.user + usage.system for usage in totals], "%", CPU)
    system = statistics.median(usage.system for usage in totals)
    print(f"of which system time: {system:.1f} %")


if __name__ == "__main__":
    main()
