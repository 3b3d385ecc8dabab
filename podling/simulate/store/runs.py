"""Runs of schedules, one or many, and what is said of them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from podling.simulate.store.director import Director, Outcome
from podling.simulate.store.member import Honest
from podling.simulate.store.schedule import Schedule


def run(schedule: Schedule, plant: Honest | None = None) -> Outcome:
    """Carry a schedule out, with a planted bug if asked for."""
    with quiet():
        return Director(schedule, plant).run()


@contextmanager
def quiet() -> Iterator[None]:
    """Members end all the time and say so; none of it is news here."""
    logger = logging.getLogger("podling")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def summary(outcome: Outcome) -> str:
    """What happened, in a line."""
    counts = outcome.counts
    return (
        f"{outcome.schedule.settings.members} members, {outcome.seconds:.1f} s, "
        f"{counts['leader']} elections won, {counts['kill'] + counts['power-loss']} crashes, "
        f"{counts['apply']} commands committed, {counts['answer']} answers, "
        f"{counts['unknown']} of unknown outcome"
    )
