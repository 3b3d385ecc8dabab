"""What Raft promises (paper, figure 3), looked at after every step of every member."""

from podling.controlplane.raft.messages import EntryKind
from podling.controlplane.raft.state import Raft, Role
from podling.simulate.store.traces import Trace


class RaftInvariants:
    """Remembers what was seen of all members since the beginning."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._leaders: dict[int, int] = {}
        """By term."""
        self._entries: dict[tuple[int, int], tuple[EntryKind, bytes, int | None]] = {}
        """By (index, term): the entry, and the term of the one before."""
        self._committed: dict[int, int] = {}
        """Term of each entry known to be committed, by index."""
        self._newest = 0
        self._seen: dict[int, tuple[object, ...]] = {}
        self._terms: dict[int, dict[int, int]] = {}
        """What was seen of each member's log: index to term."""
        self._stable: dict[int, tuple[int, int]] = {}
        """Index and term of the last entry that each member took to be on its disk."""

    @property
    def committed(self) -> int:
        """Index of the last entry that any member has known to be committed."""
        return self._newest

    def look(self, member: int, raft: Raft) -> None:
        """A member has done something."""
        log = raft.log
        now = (raft.role, raft.term, log.committed, log.last_index, log.last_term, log.first_index)
        before = self._seen.get(member)
        if before is not None and (term := log.term(log.stable)) is not None:
            self._stable[member] = (log.stable, term)
        if now == before:
            return
        self._seen[member] = now
        if before is None:
            self._check_disk(member, raft)
        self._check_entries(member, raft)
        self._check_committed(member, raft, int(before[2]) if before is not None else 0)  # type: ignore[call-overload]
        if before is None or before[:2] != now[:2]:
            self._trace.note(raft.role.value, f"{member} term={raft.term}")
            if raft.role is Role.LEADER:
                self._check_leader(member, raft)

    def forget(self, member: int) -> None:
        """It has ended; what it had in memory is gone."""
        self._seen.pop(member, None)
        self._terms.pop(member, None)

    def _check_disk(self, member: int, raft: Raft) -> None:
        """It has just started: what it took to be on its disk is there."""
        index, term = self._stable.get(member, (0, 0))
        if index > raft.log.snapshot.index and raft.log.term(index) != term:
            self._trace.fail(
                "what is on disk stays there",
                f"{member} had {term}/{index} on its disk, and starts with "
                f"{raft.log.last_term}/{raft.log.last_index}",
            )

    def _check_leader(self, member: int, raft: Raft) -> None:
        leader = self._leaders.setdefault(raft.term, member)
        if leader != member:
            self._trace.fail(
                "election safety", f"{leader} and {member} both lead in term {raft.term}"
            )
        index = self._newest
        while index and self._committed.get(index, raft.term) >= raft.term:
            index -= 1
        if index < raft.log.first_index:
            return
        if raft.log.term(index) != self._committed[index]:
            self._trace.fail(
                "leader completeness",
                f"{member} leads in term {raft.term} without the committed entry "
                f"{self._committed[index]}/{index}",
            )

    def _check_entries(self, member: int, raft: Raft) -> None:
        """Log matching: the same index and term, the same entry and all before it."""
        log = raft.log
        seen = self._terms.setdefault(member, {})
        first = log.last_index
        while first >= log.first_index and seen.get(first) != log.term(first):
            first -= 1
        if first >= log.last_index:
            return
        for entry in log.slice(max(first + 1, log.first_index), 2**62):
            seen[entry.index] = entry.term
            now = (entry.kind, entry.data, log.term(entry.index - 1))
            known = self._entries.setdefault((entry.index, entry.term), now)
            if known[:2] != now[:2] or (None not in (known[2], now[2]) and known[2] != now[2]):
                self._trace.fail(
                    "log matching",
                    f"entry {entry.term}/{entry.index} of {member} is not what it is elsewhere",
                )

    def _check_committed(self, member: int, raft: Raft, before: int) -> None:
        log = raft.log
        for index in range(max(before + 1, log.first_index), log.committed + 1):
            term = log.term(index)
            if term is None:
                continue
            known = self._committed.setdefault(index, term)
            if known != term:
                self._trace.fail(
                    "committed entries stay",
                    f"entry {known}/{index} was committed, but {member} has committed "
                    f"{term}/{index}",
                )
        self._newest = max(self._newest, log.committed)
