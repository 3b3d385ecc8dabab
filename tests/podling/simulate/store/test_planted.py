"""Bugs that are planted are found, soon; so what is not found is not there, as far as that goes."""

import pytest

from podling.simulate.store.director import Outcome
from podling.simulate.store.generator import generate
from podling.simulate.store.planted import BUGS
from podling.simulate.store.runs import run
from podling.simulate.store.shrinking import shrink

STEPS = 100

FOUND_BY = {
    "commit-without-quorum": None,
    "skip-fsync": None,
    "hide-damage": "what is on disk stays there",
    "stale-read": "linearizable",
    "lost-lease": "leases live as long as was said",
    "watch-gap": "watches are complete and in order",
    "vote-twice": None,
    "stale-permission": None,
    "keep-token": "nobody does what he may not",
    "ignore-alarm": "nothing is added without space",
}
"""The invariant that must be violated; None where several can be."""

FIRST_SEEDS = {"vote-twice": 14, "hide-damage": 30, "stale-permission": 50, "keep-token": 90}
"""Where to begin, to keep the test short; two hundred seeds in a row find each."""


def find(bug: str, seeds: int) -> Outcome:
    first = FIRST_SEEDS.get(bug, 0)
    for seed in range(first, first + seeds):
        outcome = run(generate(seed, STEPS), BUGS[bug])
        if outcome.violation is not None:
            return outcome
    raise AssertionError(f"{bug} is not found within {seeds} seeds")


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    outcome = find(bug, 120)

    assert outcome.violation is not None
    assert FOUND_BY[bug] in (None, outcome.violation.invariant)


def test_what_fails_is_made_short_and_fails_again_when_replayed() -> None:
    bug = BUGS["stale-read"]
    short = shrink(find("stale-read", 60), lambda schedule: run(schedule, bug), attempts=100)

    assert len(short.schedule.events) <= 10
    assert short.violation is not None
    again = run(short.schedule, bug)
    assert str(again.violation) == str(short.violation)
    assert run(short.schedule).violation is None
