"""The public face of the core: events in, `Ready` out (the package's docstring has the loop)."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podling.controlplane.raft import core, election, membership, proposals, read_index, replication
from podling.controlplane.raft.config import Config
from podling.controlplane.raft.messages import (
    NONE,
    Entry,
    HardState,
    Message,
    ProposeConfiguration,
    ProposeRequest,
    ReadIndexRequest,
    Refusal,
    SnapshotMeta,
    TransferRequest,
    VoteResponse,
)
from podling.controlplane.raft.proposals import ProposalRefused
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.state import Outbox, Raft, Role
from podling.controlplane.raft.storage import StoredState

if TYPE_CHECKING:
    import random

__all__ = ["ProposalRefused", "Proposed", "RawNode", "Ready"]


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything the core wants done, as of now."""

    number: int
    """Counts up; names this Ready in `persisted`."""
    role: Role
    term: int
    leader: int
    hard_state: HardState | None
    """To be written; None if it has not changed in a way that must be."""
    snapshot: SnapshotMeta | None
    """Received from a leader, its file on disk: the log on disk is void, and the state machine is
    to be restored from it before anything of `committed` is applied."""
    entries: tuple[Entry, ...]
    """To be written. They replace whatever the log on disk has from the first one's index on."""
    messages: tuple[Message, ...]
    """To be sent at once, before or while the disk writes."""
    messages_after_persist: tuple[Message, ...]
    """To be sent when this and all earlier Readies are on disk."""
    committed: tuple[Entry, ...]
    """To be applied, in this order."""
    reads: tuple[tuple[int, int], ...]
    """(request, index): reads that may be answered once `index` is applied."""
    refused: tuple[tuple[int, Refusal], ...]
    """(request, reason): forwarded requests of which the leader appended nothing."""
    configuration: Configuration | None
    """The members in force now, if they are others than at the last Ready. Not yet committed,
    perhaps, and then still to be rolled back; for those that are, see `committed`."""

    @property
    def must_persist(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.entries) or self.hard_state is not None or self.snapshot is not None


@dataclass(frozen=True, slots=True)
class Proposed:
    """Where proposed commands went."""

    term: int
    """They are committed in this term or never."""
    first_index: int
    """Index of the first one; 0 if they were passed on to the leader."""


class RawNode:
    """One member. Single-threaded: every method returns at once, and none may be re-entered."""

    def __init__(self, config: Config, stored: StoredState, dice: "random.Random") -> None:
        self.raft = Raft(config, stored, dice)
        """For reading by tests and `describe`; nobody else looks inside."""
        self._number = 0
        self._writing = 0
        """Number of the last Ready that has something to write."""
        self._persisted = 0
        self._handed_state = stored.hard_state
        self._handed_configuration = self.raft.configuration
        self._own_votes: deque[tuple[int, VoteResponse]] = deque()
        """Votes for this member itself, with the number of the Ready that writes them."""

    @property
    def role(self) -> Role:
        return self.raft.role

    @property
    def term(self) -> int:
        return self.raft.term

    @property
    def leader(self) -> int:
        """Id of the leader, `NONE` if unknown."""
        return self.raft.leader

    @property
    def configuration(self) -> Configuration:
        """The members in force: the newest configuration in the log."""
        return self.raft.configuration

    def tick(self) -> bool:
        """One tick has passed. Messages that came before it are to be stepped first.

        Returns whether there is anything to do because of it.
        """
        raft = self.raft
        before = (raft.role, raft.term, raft.leader)
        core.tick(raft)
        return bool(raft.outbox.messages) or before != (raft.role, raft.term, raft.leader)

    def step(self, message: Message) -> None:
        """A message came from a peer, however late or out of order."""
        if message.to == self.raft.id and message.sender != self.raft.id:
            core.step(self.raft, message)

    def campaign_now(self) -> None:
        """Stand for election (with a pre-vote) without waiting, unless there is a leader."""
        if self.raft.leader == NONE:
            election.campaign(self.raft)

    def propose(self, commands: Sequence[bytes], request: int) -> Proposed:
        """Append `commands`, or pass them on to the leader under the number `request`.

        Raises ProposalRefused, and nothing is written, if there is no leader or it takes nothing
        now. What was passed on may still be refused: `Ready.refused` has its number then.
        """
        raft = self.raft
        if raft.role is Role.LEADER:
            return Proposed(raft.term, proposals.append_commands(raft, commands))
        self._check_leader()
        raft.send(ProposeRequest(raft.id, raft.leader, raft.term, request, tuple(commands)))
        return Proposed(raft.term, 0)

    def propose_configuration(
        self, base: Configuration, proposed: Configuration, request: int
    ) -> Proposed:
        """Change the members from `base` to `proposed`, or ask the leader to (`request` as above).

        Raises ProposalRefused, and nothing is written, if `base` is not in force, another change is
        under way, or it cannot be; what was passed on may still be refused. In force when appended;
        it has been made when an entry with `proposed` comes in `Ready.committed`. If more than one
        voter changes, a joint configuration of both comes first, and its entry is `first_index`.
        """
        raft = self.raft
        if raft.role is Role.LEADER:
            return Proposed(raft.term, membership.change(raft, base, proposed))
        self._check_leader()
        raft.send(ProposeConfiguration(raft.id, raft.leader, raft.term, request, base, proposed))
        return Proposed(raft.term, 0)

    def _check_leader(self) -> None:
        if self.raft.leader == NONE:
            raise ProposalRefused(Refusal.NOT_NOW, "no leader is known")

    def read_index(self, request: int) -> bool:
        """Ask for an index to read at; it comes in `Ready.reads`, or never if the leader changes.

        False if no leader is known.
        """
        raft = self.raft
        if raft.role is Role.LEADER:
            read_index.ask(raft, raft.id, request)
        elif raft.leader != NONE:
            raft.send(ReadIndexRequest(raft.id, raft.leader, raft.term, request))
        return raft.leader != NONE

    def transfer_leadership(self, target: int = NONE) -> None:
        """Ask the leader, this member or another, to hand over (`NONE`: to whoever is furthest).

        To a voter that stays one; the leader ignores anything else.
        """
        raft = self.raft
        request = TransferRequest(raft.id, raft.leader, raft.term, target)
        if raft.role is Role.LEADER:
            election.handle_transfer_request(raft, request)
        elif raft.leader != NONE:
            raft.send(request)

    def unreachable(self, peer: int) -> None:
        """Messages to `peer` were lost."""
        replication.report_unreachable(self.raft, peer)

    def snapshot_sent(self, peer: int, ok: bool) -> None:
        """The stream of an InstallSnapshot message ended, well or not."""
        replication.report_snapshot(self.raft, peer, ok)

    def snapshot_point(self) -> SnapshotMeta | None:
        """Names a snapshot of the state as applied now.

        None if there is nothing new to save, or entries of it are not on this member's disk yet: a
        snapshot file must not be ahead of the log beside it. Nor before a member that has joined
        knows who the members were at that point.
        """
        log = self.raft.log
        term = log.term(log.applied)
        if log.applied > log.stable or log.applied <= log.snapshot.index or term is None:
            return None
        configuration = log.configurations.at(log.applied)
        return SnapshotMeta(log.applied, term, configuration) if configuration.voters else None

    def snapshot_saved(self, snapshot: SnapshotMeta, compact_to: int) -> None:
        """A snapshot of this member's state is on disk; drop the entries up to `compact_to`."""
        self.raft.log.saved(snapshot)
        self.raft.log.compact(compact_to)

    def step_down(self) -> None:
        """Stop leading, because this member cannot write: somebody who can is to take over.

        For the driver to call when a write takes too long. The member follows and votes on, as far
        as it can without writing, but stands for election no more until a write is `persisted`.
        """
        if self.raft.role is Role.LEADER:
            self.raft.stalled = self._writing > self._persisted
            election.resign(self.raft)

    def persisted(self, number: int) -> None:
        """The Ready `number`, and all before it, are on disk."""
        self._persisted = number
        self.raft.stalled = False
        if self.raft.log.written(number):
            replication.own_log_written(self.raft)
        while self._own_votes and self._own_votes[0][0] <= number:
            core.step(self.raft, self._own_votes.popleft()[1])

    def ready(self) -> Ready | None:
        """What is to be done now; None if nothing. Follow it with `advance`."""
        raft = self.raft
        if raft.role is Role.LEADER:
            membership.conclude(raft)
        if raft.role is Role.LEADER:
            read_index.flush(raft)
            replication.flush(raft)
        number = self._number + 1
        snapshot = raft.log.pending_snapshot
        entries = raft.log.hand_out(number)
        hard_state = self._changed_hard_state(bool(entries) or snapshot is not None)
        committed = raft.log.to_apply(
            raft.config.max_committed_bytes, raft.config.max_committed_entries
        )
        configuration = self._changed_configuration()
        outbox = raft.outbox
        if not (
            snapshot is not None
            or entries
            or hard_state is not None
            or committed
            or configuration is not None
            or outbox.has_content
        ):
            return None
        raft.outbox = Outbox()
        ready = Ready(
            number,
            raft.role,
            raft.term,
            raft.leader,
            hard_state,
            snapshot,
            entries,
            tuple(outbox.messages),
            self._keep_own_votes(number, outbox.after_persist),
            committed,
            tuple(outbox.reads),
            tuple(outbox.refused),
            configuration,
        )
        if committed:
            raft.log.applying = committed[-1].index
        self._number = number
        if ready.must_persist:
            self._writing = number
        return ready

    def advance(self, ready: Ready) -> None:
        """`ready.committed` is applied. Its writes may still be under way."""
        if ready.committed:
            log = self.raft.log
            log.applied = max(log.applied, ready.committed[-1].index)

    def _changed_hard_state(self, writes: bool) -> HardState | None:
        """The hard state if it must be written; a commit index alone rides with other writes."""
        raft, before = self.raft, self._handed_state
        same_vote = (raft.term, raft.vote) == (before.term, before.vote)
        if same_vote and not (writes and raft.log.committed != before.commit):
            return None
        now = self._handed_state = HardState(raft.term, raft.vote, raft.log.committed)
        return now

    def _changed_configuration(self) -> Configuration | None:
        now, before = self.raft.configuration, self._handed_configuration
        self._handed_configuration = now
        return None if now is before or now == before else now

    def _keep_own_votes(self, number: int, messages: list[Message]) -> tuple[Message, ...]:
        own = [message for message in messages if message.to == self.raft.id]
        for message in own:
            assert isinstance(message, VoteResponse)
            self._own_votes.append((number, message))
        return tuple(messages) if not own else tuple(m for m in messages if m not in own)
