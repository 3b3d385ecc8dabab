"""Worlds that no seed is likely to make, or that a seed has shown to be troublesome."""

from collections import Counter

import pytest

from podling.simulate.store.runs import run
from podling.simulate.store.schedule import Event, Schedule, Settings


@pytest.mark.parametrize("members", [3, 7])
def test_a_cluster_starts_although_answers_take_half_an_election_timeout(members: int) -> None:
    settings = Settings(members=members, network_delay=(0.2, 0.25))
    outcome = run(Schedule(1, settings, (Event(20, "get", {"member": 1, "key": "a"}),)))

    assert outcome.violation is None
    assert outcome.counts["leader"] <= 3


def test_the_power_goes_everywhere_at_every_step_of_the_disk() -> None:
    for steps in range(1, 25):
        cuts = [Event(0.5, "cut_power", {"member": number, "steps": steps}) for number in (1, 2, 3)]
        puts = [
            Event(0.5 + number / 100, "put", {"member": "leader", "key": "a", "value": str(number)})
            for number in range(10)
        ]
        outcome = run(Schedule(steps, Settings(snapshot_count=3), (*cuts, *puts)))

        assert outcome.violation is None
        assert outcome.counts["power-loss"] > 0


def test_a_leaders_snapshot_comes_while_the_member_saves_its_own_on_a_slow_disk() -> None:
    puts = [
        Event(
            0.5 + 0.03 * number, "put", {"member": 1 + number % 2, "key": "a", "value": str(number)}
        )
        for number in range(60)
    ]
    faults = [
        Event(0.5, "slow_disk", {"member": 3, "most": 0.8}),
        Event(1.2, "isolate", {"member": 3}),
        Event(1.6, "heal", {}),
    ]
    events = tuple(sorted([*puts, *faults], key=lambda event: event.at))
    for seed in range(8, 20):
        outcome = run(Schedule(seed, Settings(snapshot_count=3, catch_up_entries=0), events))

        assert outcome.violation is None
        assert outcome.counts["restore"] > 0


def test_nobody_is_left_of_the_first_members_and_the_last_one_crashes() -> None:
    remove = {"member": "leader", "number": "leader"}
    events = (
        Event(2.1, "remove", remove),
        Event(2.3, "add", {"member": "leader", "number": 6, "learner": False}),
        Event(3.4, "remove", remove),
        Event(3.9, "add", {"member": "leader", "number": 5, "learner": False}),
        Event(4.6, "remove", remove),
        Event(5.0, "remove", remove),
        Event(13.6, "crash", {"member": "leader", "power": True}),
    )
    outcome = run(Schedule(50114, Settings(members=3, spares=3), events))

    assert outcome.violation is None


def test_the_only_voter_loses_its_power_at_every_step_of_adding_a_second_one() -> None:
    add = {"member": 1, "number": 2, "learner": False}
    for steps in range(1, 5):
        events = (
            Event(1.0, "add", add),
            Event(1.0, "cut_power", {"member": 1, "steps": steps}),
            Event(2.0, "restart", {"member": 1}),
        )
        outcome = run(Schedule(steps, Settings(members=1, spares=1), events))

        assert outcome.violation is None
        assert outcome.counts["power-loss"] == 1


def test_a_member_with_a_damaged_file_does_not_start_or_does_without_it() -> None:
    puts = [
        Event(0.5 + number / 100, "put", {"member": "leader", "key": "a", "value": str(number)})
        for number in range(30)
    ]
    happened: Counter[str] = Counter()
    for seed in range(12):
        faults = (
            Event(1.5, "crash", {"member": 1, "power": True}),
            Event(1.5, "flip_bit", {"member": 1}),
            Event(2.0, "restart", {"member": 1}),
            Event(3.0, "mend", {"member": 1}),
        )
        outcome = run(Schedule(seed, Settings(snapshot_count=10), (*puts, *faults)))

        assert outcome.violation is None
        assert outcome.counts["up"] == 4
        happened += outcome.counts

    assert 0 < happened["damage-refused"] < happened["damage"] == 12


def test_a_removed_member_comes_back_slowly_when_all_is_over() -> None:
    events = (
        Event(1.0, "crash", {"member": 3, "power": True}),
        Event(2.5, "remove", {"member": "leader", "number": 3}),
        Event(5.0, "slow_disk", {"member": 3, "most": 30.0}),
        Event(6.0, "restart", {"member": 3}),
        Event(6.1, "heal", {}),
    )
    for seed in range(5):
        outcome = run(Schedule(seed, Settings(), events))

        assert outcome.violation is None
