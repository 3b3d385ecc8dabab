"""The store holds what it promises under every seed; a seed is the same run every time."""

import os
import subprocess
import sys
from collections import Counter

import pytest

from podling.simulate.store.generator import generate
from podling.simulate.store.runs import run

STEPS = 100
SEEDS = 240
SLICE = 30


@pytest.mark.parametrize("first", range(0, SEEDS, SLICE))
def test_every_invariant_holds(first: int) -> None:
    happened: Counter[str] = Counter()
    for seed in range(first, first + SLICE):
        outcome = run(generate(seed, STEPS))
        assert outcome.violation is None, (
            f"podling simulate store --seed {seed} --steps {STEPS}: {outcome.violation}"
        )
        happened += outcome.counts

    # Or else nothing was shown.
    assert happened["leader"] > 2 * SLICE
    assert happened["apply"] > 25 * SLICE
    assert min(happened["kill"], happened["power-loss"], happened["restore"]) > SLICE / 2
    assert min(happened["damage-refused"], happened["alarm"], happened["users"]) > SLICE / 10


def test_a_seed_replays_to_the_byte_whatever_the_hashes_of_strings() -> None:
    command = [sys.executable, "-c", "from podling.cli.main import main; main()"]
    options = ["simulate", "store", "--seed", "20", "--steps", "200", "--trace"]
    printed = [
        subprocess.run(
            command + options,
            check=True,
            capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("1", "2")
    ]

    assert printed[0] == printed[1]
    assert printed[0].startswith(b"seed 20, 200 events\n")
    assert len(printed[0].splitlines()) > 300


def test_seeds_differ() -> None:
    traces = {tuple(run(generate(seed, 20)).trace) for seed in range(5)}

    assert len(traces) == 5
