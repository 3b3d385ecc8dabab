#!/usr/bin/env python3
"""How long `podling up` takes until all is Ready, and `podling down`.

    benchmarks/up.py [--runs 5] [--replicas 3] [--nodes 3]

Each run makes a cluster, stops it, starts it again with the data it has, and purges it. The first
run is not counted: it compiles byte-code and fills the page cache.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import Goal, report

UP = Goal(1.5, "s")
SECONDS_MAX = 120.0


class Stopwatch:
    """Runs the command line on one folder."""

    def __init__(self, folder: Path) -> None:
        self._command = [str(Path(sys.executable).with_name("podling")), "--dir", str(folder)]
        self._environment = os.environ.copy()
        # Set in some images; it would have every command compiled anew each time.
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def __call__(self, *arguments: str) -> float:
        began = time.perf_counter()
        done = subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        taken = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"podling {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--replicas", default="3")
    parser.add_argument("--nodes", default="3")
    options = parser.parse_args()
    size = ("--replicas", options.replicas, "--nodes", options.nodes)
    fresh: list[float] = []
    again: list[float] = []
    down: list[float] = []
    for run in range(options.runs + 1):
        with tempfile.TemporaryDirectory(prefix="podling-") as scratch:
            podling = Stopwatch(Path(scratch) / "c")
            try:
                times = podling("up", *size), podling("down"), podling("up")
            finally:
                podling("down", "--purge")
        if run:
            for values, taken in zip((fresh, down, again), times, strict=True):
                values.append(taken)
    report("podling up, a new cluster", fresh, "s", UP)
    report("podling up, the same again", again, "s", UP)
    report("podling down", down, "s")


if __name__ == "__main__":
    main()
