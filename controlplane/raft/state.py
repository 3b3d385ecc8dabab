"""The state of one member, and the elementary transitions between roles.

    FOLLOWER --timeout--> PRE_CANDIDATE --majority would vote--> CANDIDATE --majority--> LEADER
        ^                      |                                     |                     |
        +----------------------+--- higher term, or a leader --------+---------------------+

What the transitions are triggered by is in `election`, `replication`, `read_index` and `core`.
"""

import sys
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from podling.controlplane.raft.config import Config
from podling.controlplane.raft.log import RaftLog
from podling.controlplane.raft.messages import (
    NONE,
    AppendResponse,
    Entry,
    EntryKind,
    Message,
    Refusal,
    VoteRequest,
    VoteResponse,
)
from podling.controlplane.raft.progress import Progress, Window
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.storage import StoredState

if TYPE_CHECKING:
    import random


class Role(Enum):
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


@dataclass(slots=True)
class Outbox:
    """What the driver is to be told at the next Ready."""

    messages: list[Message] = field(default_factory=list)
    """May leave at once."""
    after_persist: list[Message] = field(default_factory=list)
    """Promise something that is not on disk yet."""
    reads: list[tuple[int, int]] = field(default_factory=list)
    """(request, index): this member's reads that were confirmed."""
    refused: list[tuple[int, Refusal]] = field(default_factory=list)
    """Requests of which the leader appended nothing, and why."""

    @property
    def has_content(self) -> bool:
        return bool(self.messages or self.after_persist or self.reads or self.refused)


@dataclass(slots=True)
class Reads:
    """The leader's reads that wait to be confirmed (`read_index`)."""

    waiting: list[tuple[int, int]] = field(default_factory=list)
    """(member, request), for the next round."""
    confirming: list[tuple[int, int]] = field(default_factory=list)
    """(member, request), in the round under way."""
    round: int = 0
    """Number of that round, or of the last one; counts up within a term."""
    index: int = 0
    """Commit index when that round began."""
    confirmed: set[int] = field(default_factory=set)
    """Who has answered the round."""


class Raft:
    """One member. Handlers in the sibling modules read and change these fields directly."""

    def __init__(self, config: Config, stored: StoredState, dice: "random.Random") -> None:
        self.config = config
        self.id = config.member_id
        self.dice = dice
        self.log = RaftLog(stored)
        self.term = stored.hard_state.term
        self.vote = stored.hard_state.vote
        self.role = Role.FOLLOWER
        self.leader = NONE
        self.votes: dict[int, bool] = {}
        """Answers in the election under way."""
        self.progress: dict[int, Progress] = {}
        """LEADER: of every member, and of this one even if it is none."""
        self.uncommitted = Window(sys.maxsize, config.max_uncommitted_bytes)
        """LEADER: own proposals not yet committed."""
        self.flushed_commit = 0
        """LEADER: the commit index when messages were last sent."""
        self.transfer_target = NONE
        """LEADER: to whom leadership is being handed over; proposals are refused meanwhile."""
        self.transfer_elapsed = 0
        """LEADER: ticks since that began."""
        self.reads = Reads()
        self.outbox = Outbox()
        self.stalled = False
        """It stepped down because it could not write, and nothing has been written since."""
        self.election_elapsed = 0
        """Ticks since a leader was heard or, if leading, since the quorum was last checked."""
        self.heartbeat_elapsed = 0
        self.election_timeout = 0
        """Ticks, drawn anew whenever the role or the term changes."""
        self._reset_timers()
        self.commit_decided_alone()

    @property
    def configuration(self) -> Configuration:
        """The newest in the log, committed or not (paper, section 6)."""
        return self.log.configurations.latest

    @property
    def configuration_committed(self) -> bool:
        """Whether it can no longer be overwritten."""
        return self.log.configurations.latest_index <= self.log.committed

    @property
    def peers(self) -> list[int]:
        """Everybody else, in a fixed order."""
        return sorted(self.configuration.members - {self.id})

    @property
    def can_campaign(self) -> bool:
        """Whether this member may stand for election: voters may.

        So may one that is a voter no more, until it knows that this is committed: it may be the
        only one with that entry, and then nobody else can win (thesis 4.2.2). Its own vote does not
        count.
        """
        known = self.log.configurations.at(self.log.committed)
        is_voter = self.id in self.configuration.all_voters or self.id in known.all_voters
        return is_voter and not self.stalled

    @property
    def has_committed_in_term(self) -> bool:
        """Whether the commit index is known to be the newest (paper, section 8)."""
        return self.log.term(self.log.committed) == self.term

    def commit_decided_alone(self) -> None:
        """Commit a change of the members that only this one had to agree to, if its disk has it.

        Whoever is the only voter adds a second one before that is started, so the second must not
        be needed to decide that. Nor may it be after a crash: who added it was not told, perhaps,
        and finds it among the members then. Nobody can be elected without this member's vote, and
        nobody gets that without the entry, so it cannot be overwritten, whoever leads now.
        """
        index = self.log.configurations.decided_by(self.id)
        if index <= self.log.stable and self.log.commit_to(index):
            self.uncommitted.free_to(index)

    def send(self, message: Message) -> None:
        """Queue a message, behind the disk if it promises what must be there.

        That a candidate asks for votes promises its term and the log it names: if it could forget
        them, a vote that was given to them could come late, and count for a shorter log in the same
        term.
        """
        promises = (isinstance(message, AppendResponse) and not message.rejected) or (
            isinstance(message, VoteRequest | VoteResponse) and not message.pre
        )
        (self.outbox.after_persist if promises else self.outbox.messages).append(message)

    def become_follower(self, term: int, leader: int = NONE) -> None:
        self._enter_term(term)
        self._enter_role(Role.FOLLOWER, leader)

    def become_pre_candidate(self) -> None:
        """Ask before campaigning: neither term nor vote changes (thesis 9.6)."""
        self._enter_role(Role.PRE_CANDIDATE, NONE)

    def become_candidate(self) -> None:
        self._enter_term(self.term + 1)
        self.vote = self.id
        self._enter_role(Role.CANDIDATE, NONE)

    def become_leader(self) -> None:
        self._enter_role(Role.LEADER, self.id)
        next_index = self.log.last_index + 1
        for member in self.configuration.members | {self.id}:
            self.progress[member] = self._new_progress(next_index, active=member == self.id)
        own = self.progress[self.id]
        own.acknowledge(self.log.stable)
        self.log.append([Entry(self.log.last_index + 1, self.term, EntryKind.NOOP, b"")])

    def _new_progress(self, next_index: int, *, active: bool) -> Progress:
        window = Window(self.config.max_inflight_messages, self.config.max_inflight_bytes)
        return Progress(next_index, window, active=active)

    def _enter_term(self, term: int) -> None:
        if term < self.term:
            raise AssertionError(f"term would go back from {self.term} to {term}")
        if term > self.term:
            self.term, self.vote = term, NONE

    def _enter_role(self, role: Role, leader: int) -> None:
        self.role, self.leader = role, leader
        self.votes = {}
        self.progress = {}
        self.reads = Reads()
        self.transfer_target = NONE
        self.uncommitted.clear()
        self._reset_timers()

    def _reset_timers(self) -> None:
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        ticks = self.config.election_ticks
        self.election_timeout = ticks + self.dice.randrange(max(ticks // 2, 1))

    def track_members(self) -> None:
        """LEADER: the configuration has changed with the last entry, which newcomers get first."""
        members = self.configuration.members | {self.id}
        for member in self.progress.keys() - members:
            del self.progress[member]
        for member in members - self.progress.keys():
            self.progress[member] = self._new_progress(self.log.last_index, active=True)
