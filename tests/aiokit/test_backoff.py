"""Delays grow to their cap, spread by dice."""

import random

from podling.aiokit.backoff import Backoff


def test_bounds_double_up_to_the_cap() -> None:
    backoff = Backoff(first=0.1, cap=1.0, dice=random.Random(0))
    for bound in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert bound / 2 <= backoff.next() <= bound


def test_success_starts_over() -> None:
    backoff = Backoff(first=0.1, cap=1.0, dice=random.Random(0))
    for _ in range(5):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= 0.1


def test_a_thousand_failures_are_no_overflow() -> None:
    backoff = Backoff(first=0.1, cap=30.0, dice=random.Random(0))
    assert max(backoff.next() for _ in range(10_000)) <= 30.0


def test_the_same_dice_give_the_same_delays() -> None:
    one, other = (Backoff(first=0.1, cap=1.0, dice=random.Random(7)) for _ in range(2))
    assert [one.next() for _ in range(9)] == [other.next() for _ in range(9)]
