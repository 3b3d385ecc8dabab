"""Schedules: saved, read back, refused."""

import pytest

from podling.simulate.store.director import VERBS
from podling.simulate.store.generator import generate
from podling.simulate.store.schedule import Schedule, UnknownSchedule


def test_what_is_saved_is_what_is_read() -> None:
    schedule = generate(3, 50)

    assert Schedule.from_json(schedule.to_json()) == schedule


def test_a_seed_makes_the_same_schedule_every_time_and_events_are_in_order() -> None:
    schedule = generate(3, 50)

    assert schedule == generate(3, 50)
    assert len(schedule.events) == 50
    assert [event.at for event in schedule.events] == sorted(e.at for e in schedule.events)


def test_every_verb_is_used_by_some_seed() -> None:
    used = {event.verb for seed in range(40) for event in generate(seed, 100).events}

    assert used == set(VERBS)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "seed": 1}'])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UnknownSchedule):
        Schedule.from_json(text)
