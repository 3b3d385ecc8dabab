"""When a snapshot is due: the state is not rewritten for little, and the log stays bounded."""

from pathlib import Path

import pytest

from podling.controlplane.raft.messages import ENTRY_OVERHEAD, Entry, EntryKind
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.snapshotting.log_growth import LogGrowth

MEGABYTE = 1024 * 1024


@pytest.fixture
def growth() -> LogGrowth:
    members = {1: Member("one", ())}
    return LogGrowth(ReplicaConfig("one", 1, 0xC1, members, Path("nowhere"), snapshot_count=100))


def entry(size: int, index: int = 1) -> Entry:
    """Counted as so many bytes."""
    return Entry(index, 1, EntryKind.COMMAND, bytes(size - ENTRY_OVERHEAD))


def until_due(growth: LogGrowth, size: int) -> int:
    """How many entries of this size are applied until a snapshot is due."""
    item, count = entry(size), 0
    while not growth.due:
        growth.applied([item])
        count += 1
    return count


def test_the_count_decides_while_the_state_is_small(growth: LogGrowth) -> None:
    assert until_due(growth, 300) == 100


def test_a_large_state_waits_until_as_much_came(growth: LogGrowth) -> None:
    growth.state_size = 300 * 500

    assert until_due(growth, 300) == 500


def test_many_entries_are_enough_however_large_the_state(growth: LogGrowth) -> None:
    growth.state_size = 300 * MEGABYTE

    assert until_due(growth, 300) == 1000


def test_large_entries_need_not_be_many(growth: LogGrowth) -> None:
    growth.state_size = 300 * MEGABYTE

    assert until_due(growth, MEGABYTE) == 64


def test_what_comes_while_a_snapshot_is_made_counts_for_the_next(growth: LogGrowth) -> None:
    until_due(growth, 300)
    mark = growth.mark()
    growth.applied([entry(300)] * 30)
    growth.saved(mark, 1000)

    assert (growth.entries, growth.size, growth.state_size) == (30, 9000, 1000)
    assert until_due(growth, 300) == 70


def test_a_snapshot_of_a_leader_begins_the_count_anew(growth: LogGrowth) -> None:
    until_due(growth, 300)
    growth.restored(5000)

    assert (growth.entries, growth.size, growth.state_size) == (0, 0, 5000)


def test_entries_stay_behind_a_snapshot_as_far_as_their_count_and_size_go(
    growth: LogGrowth,
) -> None:
    small = [entry(300, index) for index in range(6000)]
    large = [entry(MEGABYTE, index) for index in range(50)]

    assert growth.kept(small) == 5000
    assert growth.kept(large) == 32
    assert growth.kept([entry(33 * MEGABYTE)]) == 0
    assert growth.kept([]) == 0
