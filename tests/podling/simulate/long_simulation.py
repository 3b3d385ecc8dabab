"""Seed after seed on every core, for hours: `scripts/long_simulation` says how it is run."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count
from pathlib import Path

from podling.aiokit import ids
from podling.aiokit.clock import system_stopwatch
from podling.simulate.store.generator import generate
from podling.simulate.store.runs import run
from podling.simulate.store.shrinking import shrink

SLICE = 20
"""Seeds that a process runs before it tells how it went."""
REPORT_EVERY = 60.0
"""Seconds between two lines."""


def run_slice(first: int, steps: int) -> tuple[Counter[str], list[str]]:
    """What happened in all of them, and what was violated, a line for each seed."""
    happened: Counter[str] = Counter()
    violated: list[str] = []
    for seed in range(first, first + SLICE):
        outcome = run(generate(seed, steps))
        happened += outcome.counts
        happened["runs"] += 1
        if outcome.violation is not None:
            short = shrink(outcome, run)
            path = Path(f"simulation-{seed}.json")
            path.write_text(short.schedule.to_json())
            violated.append(f"seed {seed} --steps {steps}: {outcome.violation}; short: {path}")
    return happened, violated


def slices(
    pool: ProcessPoolExecutor, jobs: int, seed: int, steps: int, end: float
) -> Iterator[tuple[Counter[str], list[str]]]:
    """The results of slice after slice, until `end`."""
    starts = count(seed, SLICE)
    running: set[Future[tuple[Counter[str], list[str]]]] = set()
    while True:
        while len(running) < jobs and system_stopwatch() < end:
            running.add(pool.submit(run_slice, next(starts), steps))
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for each in done:
            yield each.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=ids.random_u64() % 10**9)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    tell(f"from seed {options.seed}, {options.steps} steps each, {options.hours} h")
    began = told = system_stopwatch()
    total: Counter[str] = Counter()
    failures = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        end = began + options.hours * 3600
        results = slices(pool, options.jobs, options.seed, options.steps, end)
        for happened, violated in results:
            total += happened
            failures += len(violated)
            for line in violated:
                tell(f"VIOLATED {line}")
            if system_stopwatch() - told >= REPORT_EVERY:
                told = system_stopwatch()
                tell(summary(total, failures, told - began))
    tell(summary(total, failures, system_stopwatch() - began))
    sys.exit(1 if failures else 0)


def summary(total: Counter[str], failures: int, seconds: float) -> str:
    crashes = total["kill"] + total["power-loss"]
    return (
        f"{seconds / 3600:.2f} h: {total['runs']} runs ({total['runs'] / seconds:.1f}/s), "
        f"{failures} violations; {total['leader']} elections won, {crashes} crashes, "
        f"{total['changed']} changes of membership, {total['restore']} snapshots restored, "
        f"{total['apply']} commands committed, {total['answer']} answers checked"
    )


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
