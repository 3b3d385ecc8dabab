"""The replicated log of one member, as far as it is in memory.

Worked example: everything up to 4 compacted away, entries 5 to 9 held.

    index        4   | 5   6   7   8   9
                base | first_index     last_index
    committed        |     6                        known to be on a majority; never overwritten
    applied          | 5                            handed to the state machine, which is done
    stable           |         7                    on this member's own disk
    handed           |             8                given to the driver to be written

    applied <= committed <= last_index,   stable <= handed <= last_index

Committed entries may be applied before they are stable here: a majority has them on disk.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from podling.controlplane.raft.configuration_history import ConfigurationHistory
from podling.controlplane.raft.messages import Entry, SnapshotMeta, size_of
from podling.controlplane.raft.storage import StoredState


class Compacted(Exception):
    """The wanted entries are no longer in the log."""


class EntriesLost(AssertionError):
    """Entries that this member had acknowledged are gone; says what to do. No defect of ours."""


@dataclass(slots=True)
class _Write:
    """Entries given to the driver, not yet reported to be on disk."""

    number: int
    last_index: int
    """Lowered when entries of this write are overwritten: what is on disk then is not the log."""


class RaftLog:
    """Entries, and how far each thing that is done with them has come."""

    def __init__(self, stored: StoredState) -> None:
        self.snapshot = stored.snapshot
        """The newest snapshot that exists; never older than the base."""
        self.pending_snapshot: SnapshotMeta | None = None
        """A leader's snapshot taken into the log and not yet handed to the driver."""
        self._load(stored)
        self.configurations = ConfigurationHistory(stored.snapshot, self._entries)
        """Who the members are, as this log says."""
        self.committed = max(self.snapshot.index, min(stored.hard_state.commit, self.last_index))
        self.applied = self.snapshot.index
        self.applying = self.applied
        """Handed out to be applied; `applied` follows when the driver says so."""
        self.stable = self.handed = self.last_index
        self._writes: deque[_Write] = deque()

    def _load(self, stored: StoredState) -> None:
        entries = list(stored.entries)
        snapshot = stored.snapshot
        if entries and entries[0].index > snapshot.index + 1:
            raise ValueError(
                f"the log begins with entry {entries[0].index}, but the newest snapshot ends with "
                f"{snapshot.index}: what lies between is missing"
            )
        if entries and snapshot.index <= entries[-1].index:
            self._base_index, self._base_term = entries[0].index - 1, stored.base_term
            self._entries = entries
            if self._base_index == snapshot.index:
                self._base_term = snapshot.term
            if self.term(snapshot.index) == snapshot.term:
                return
        # "Discard the entire log" (Raft paper, figure 13, rule 7).
        self._base_index, self._base_term = snapshot.index, snapshot.term
        self._entries = []

    @property
    def first_index(self) -> int:
        return self._base_index + 1

    @property
    def last_index(self) -> int:
        return self._base_index + len(self._entries)

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self._base_term

    def term(self, index: int) -> int | None:
        """Term of the entry at `index`; None if it is compacted away or not there yet."""
        if index == self._base_index:
            return self._base_term
        if self._base_index < index <= self.last_index:
            return self._entries[index - self._base_index - 1].term
        return None

    def matches(self, index: int, term: int) -> bool:
        return self.term(index) == term

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """Whether a log that ends there is at least as up-to-date as this (paper, 5.4.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def conflict_hint(self, index: int, term: int) -> tuple[int, int]:
        """The last index up to `index` whose term is at most `term`, and its term.

        A log in which (index, term) was found cannot agree with this one beyond it, so that a whole
        term is skipped in one round trip (paper, section 5.3, end).
        """
        index = min(index, self.last_index)
        if index <= self._base_index:
            return index, self._base_term if index == self._base_index else 0
        count = bisect_right(
            self._entries, term, hi=index - self._base_index, key=lambda entry: entry.term
        )
        index = self._base_index + count
        return index, self.term(index) or 0

    def slice(self, first: int, max_bytes: int, *, through: int | None = None) -> tuple[Entry, ...]:
        """Entries from `first` on, at least one if there is one, up to `max_bytes` in all.

        Raises Compacted if `first` is no longer there.
        """
        if first <= self._base_index:
            raise Compacted(first)
        end = self.last_index if through is None else through
        entries = self._entries[first - self._base_index - 1 : end - self._base_index]
        return _limit(entries, max_bytes)

    def append(self, entries: Iterable[Entry]) -> None:
        """Add entries that follow the last one."""
        before = len(self._entries)
        self._entries.extend(entries)
        self.configurations.append(self._entries[before:])

    def merge(
        self, previous_index: int, previous_term: int, entries: Sequence[Entry]
    ) -> int | None:
        """Take what a leader sent; return the last index that now agrees with it.

        None if this log has no entry (previous_index, previous_term). Entries that are already
        there stay; at the first that differs, it and all that follow are replaced.
        """
        if not self.matches(previous_index, previous_term):
            if previous_index >= self._base_index:
                return None
            # Everything up to the base is committed, and so agrees with any leader's log.
            entries = entries[self._base_index - previous_index :]
            previous_index = self._base_index
        for position, entry in enumerate(entries):
            if not self.matches(entry.index, entry.term):
                self._replace_from(entry.index, entries[position:])
                break
        return previous_index + len(entries)

    def _replace_from(self, index: int, entries: Sequence[Entry]) -> None:
        if index <= self.committed:
            raise AssertionError(
                f"entry {index} conflicts with a committed one (committed: {self.committed})"
            )
        self._forget_stable_from(index)
        del self._entries[index - self._base_index - 1 :]
        self.configurations.cut(index)
        self.append(entries)

    def _forget_stable_from(self, index: int) -> None:
        self.stable = min(self.stable, index - 1)
        self.handed = min(self.handed, index - 1)
        for write in self._writes:
            write.last_index = min(write.last_index, index - 1)

    def commit_to(self, index: int) -> bool:
        """Raise the commit index to `index`; whether that changed it."""
        if index <= self.committed:
            return False
        if index > self.last_index:
            raise EntriesLost(
                f"entry {index} is committed, but this log ends with {self.last_index}: entries "
                "that this member had acknowledged are gone from its disk; remove it from the "
                "cluster, and add it anew with an empty data directory"
            )
        self.committed = index
        return True

    def restore(self, snapshot: SnapshotMeta) -> None:
        """Replace the whole log by a leader's snapshot."""
        self._forget_stable_from(1)
        self._entries = []
        self._base_index, self._base_term = snapshot.index, snapshot.term
        self.configurations = ConfigurationHistory(snapshot, ())
        self.snapshot = self.pending_snapshot = snapshot
        self.committed = self.applied = self.applying = self.handed = snapshot.index

    def hand_out(self, number: int) -> tuple[Entry, ...]:
        """Entries to be written now, as write `number`; `written` says when they are."""
        entries = self._entries[self.handed - self._base_index :]
        if entries or self.pending_snapshot is not None:
            self.handed = self.last_index
            self._writes.append(_Write(number, self.handed))
            self.pending_snapshot = None
        return tuple(entries)

    def written(self, number: int) -> bool:
        """Write `number` and all before it are on disk; whether `stable` changed."""
        before = self.stable
        while self._writes and self._writes[0].number <= number:
            self.stable = max(self.stable, self._writes.popleft().last_index)
        return self.stable != before

    def to_apply(self, max_bytes: int, max_entries: int) -> tuple[Entry, ...]:
        """Committed entries not yet handed out to be applied."""
        if self.applying >= self.committed:
            return ()
        through = min(self.committed, self.applying + max_entries)
        return self.slice(self.applying + 1, max_bytes, through=through)

    def saved(self, snapshot: SnapshotMeta) -> None:
        """A snapshot of this member's own state exists."""
        if snapshot.index > self.snapshot.index:
            self.snapshot = snapshot
            self.configurations.forget_before(snapshot.index)

    def compact(self, index: int) -> None:
        """Drop the entries up to `index`, which a snapshot covers. Older calls change nothing."""
        if index <= self._base_index:
            return
        if index > min(self.snapshot.index, self.applied):
            raise AssertionError(f"compaction at {index} is beyond snapshot {self.snapshot.index}")
        term = self.term(index)
        assert term is not None
        del self._entries[: index - self._base_index]
        self._base_index, self._base_term = index, term


def _limit(entries: list[Entry], max_bytes: int) -> tuple[Entry, ...]:
    """As many of the first entries as fit, at least one."""
    if size_of(entries) <= max_bytes:
        return tuple(entries)
    for count, total in enumerate(accumulate(entry.size for entry in entries), start=0):
        if total > max_bytes:
            return tuple(entries[: max(count, 1)])
    return tuple(entries)
