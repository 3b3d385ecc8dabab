import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.controlplane.raft.log import Compacted, EntriesLost, RaftLog
from podling.controlplane.raft.messages import Entry, EntryKind, HardState, SnapshotMeta
from podling.controlplane.raft.storage import StoredState


def entries(*terms: int, first: int = 1) -> tuple[Entry, ...]:
    """Entries of these terms, from index `first` on."""
    return tuple(
        Entry(index, term, EntryKind.COMMAND, b"%d/%d" % (term, index))
        for index, term in enumerate(terms, start=first)
    )


def log_of(*terms: int, first: int = 1, snapshot: SnapshotMeta | None = None) -> RaftLog:
    snapshot = snapshot or SnapshotMeta(first - 1, 1 if first > 1 else 0)
    return RaftLog(StoredState(snapshot, HardState(), entries(*terms, first=first)))


def all_of(log: RaftLog) -> tuple[Entry, ...]:
    return log.slice(log.first_index, sys.maxsize)


def test_entries_that_are_there_stay_and_those_that_differ_go() -> None:
    log = log_of(1, 1, 2, 2)

    assert log.merge(1, 1, entries(1, 2, first=2)) == 3
    assert log.last_index == 4
    assert log.merge(2, 1, entries(3, first=3)) == 3
    assert all_of(log) == entries(1, 1, 3)


def test_entries_that_do_not_fit_are_refused() -> None:
    log = log_of(1, 1)

    assert log.merge(2, 2, entries(2, first=3)) is None
    assert log.merge(5, 1, entries(2, first=6)) is None
    assert all_of(log) == entries(1, 1)


def test_a_committed_entry_is_never_replaced() -> None:
    log = log_of(1, 1)
    log.commit_to(2)

    with pytest.raises(AssertionError, match="entry 2 conflicts with a committed one"):
        log.merge(1, 1, entries(2, first=2))


def test_a_commit_beyond_the_log_says_what_was_lost() -> None:
    with pytest.raises(EntriesLost, match="gone from its disk"):
        log_of(1, 1).commit_to(3)


def test_what_is_written_and_overwritten_meanwhile_is_not_stable() -> None:
    log = log_of()
    log.merge(0, 0, entries(1, 1))
    log.hand_out(1)
    log.merge(1, 1, entries(2, first=2))
    log.hand_out(2)
    log.merge(1, 1, entries(3, first=2))
    log.hand_out(3)

    log.written(1)
    assert log.stable == 1
    log.written(2)
    assert log.stable == 1
    log.written(3)
    assert log.stable == 2


def test_the_same_entry_written_again_counts_when_its_last_write_is_done() -> None:
    log = log_of()
    log.merge(0, 0, entries(1))
    log.hand_out(1)
    log.merge(0, 0, entries(2))
    log.hand_out(2)
    log.merge(0, 0, entries(1))
    log.hand_out(3)

    log.written(1)
    assert log.stable == 0
    log.written(3)
    assert log.stable == 1


def test_compaction_drops_what_a_snapshot_covers() -> None:
    log = log_of(1, 1, 2, 2)
    log.commit_to(4)
    log.applied = log.applying = 4
    log.snapshot = SnapshotMeta(4, 2)
    log.compact(3)

    assert (log.first_index, log.last_index, log.term(3)) == (4, 4, 2)
    assert log.term(2) is None
    with pytest.raises(Compacted):
        log.slice(3, 100)
    assert log.merge(1, 1, entries(1, 2, 2, 2, first=2)) == 5


def test_compaction_beyond_the_snapshot_is_refused() -> None:
    log = log_of(1, 1)

    with pytest.raises(AssertionError, match="beyond snapshot 0"):
        log.compact(1)


def test_a_restart_keeps_entries_behind_and_after_the_snapshot() -> None:
    log = log_of(1, 1, 2, snapshot=SnapshotMeta(2, 1))

    assert (log.first_index, log.last_index, log.applied, log.committed) == (1, 3, 2, 2)


def test_a_restart_discards_a_log_that_contradicts_the_snapshot() -> None:
    log = log_of(1, 1, 1, snapshot=SnapshotMeta(2, 2))

    assert (log.first_index, log.last_index, log.last_term) == (3, 2, 2)


def test_a_restart_refuses_a_log_with_a_gap_before_it() -> None:
    with pytest.raises(ValueError, match="the log begins with entry 5, but the newest snapshot"):
        log_of(1, first=5, snapshot=SnapshotMeta(3, 1))


def test_slices_are_limited_by_bytes_but_never_empty() -> None:
    log = log_of(1, 1, 1)
    size = entries(1)[0].size

    assert len(log.slice(1, 2 * size)) == 2
    assert len(log.slice(1, 2 * size - 1)) == 1
    assert len(log.slice(1, 0)) == 1
    assert log.slice(4, 100) == ()


@given(
    st.lists(st.integers(1, 5), max_size=12).map(sorted),
    st.lists(st.integers(1, 5), max_size=12).map(sorted),
)
def test_hints_find_the_agreement_without_skipping_it(mine: list[int], theirs: list[int]) -> None:
    """Logs of two members that share a beginning, then backed up as a leader does."""
    leader, follower = log_of(*mine), log_of(*theirs)
    agreed = 0
    while agreed < min(len(mine), len(theirs)) and mine[agreed] == theirs[agreed]:
        agreed += 1
    previous, rounds = len(mine), 0

    while not follower.matches(previous, leader.term(previous) or 0):
        hint = follower.conflict_hint(previous, leader.term(previous) or 0)
        previous, rounds = min(leader.conflict_hint(*hint)[0], previous - 1), rounds + 1

    assert previous >= agreed
    assert rounds <= 5
