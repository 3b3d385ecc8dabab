"""The change of membership that this replica asks for: from the call to its being committed.

The leader appends a change only if the configuration that it was made for is in force, and one at a
time (`RawNode.propose_configuration`). So there are these ends:

    committed          the entry was applied, here
    refused            nothing was appended; the reason says whether trying again makes sense
    lost               another change, or an entry of a later term, was applied instead: try again
    unknown            time is up, or a snapshot has replaced the log
"""

import asyncio
from dataclasses import dataclass, field

from podling.controlplane.raft.messages import Refusal
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.replica.errors import NoLeader, ProposalTimeout, ReplicaError


@dataclass(slots=True, eq=False)
class Change:
    """One change on its way."""

    base: Configuration
    proposed: Configuration
    deadline: float
    """Event loop time."""
    future: "asyncio.Future[Refusal | None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """None: committed. Otherwise nothing was changed."""
    term: int = 0
    """In which it was handed over; 0 while it stands in line."""
    request: int = 0
    """Under which it was passed on to the leader; 0 if this replica leads."""


class PendingChange:
    """At most one change at a time; whoever asks waits for the one before."""

    def __init__(self) -> None:
        self._change: Change | None = None

    @property
    def waiting(self) -> Change | None:
        """The change that is to be handed over."""
        change = self._change
        return change if change is not None and not change.term else None

    def begin(self, change: Change) -> None:
        self._change = change

    def handed_over(self, change: Change, term: int, request: int) -> None:
        """It is in this replica's log (`request` 0), or on its way to the leader of `term`."""
        change.term, change.request = term, request

    def refused_at_once(self, change: Change, reason: Refusal) -> None:
        """It was not even passed on."""
        self._settle(change, reason)

    def refused(self, request: int, reason: Refusal) -> bool:
        """The leader has not taken `request`; whether that was the change."""
        change = self._change
        if change is None or not request or change.request != request:
            return False
        self._settle(change, reason)
        return True

    def applied(self, configuration: Configuration) -> None:
        """An entry with this configuration was applied."""
        change = self._change
        if change is None:
            return
        if configuration == change.proposed:
            self._settle(change, None)
        elif change.term and configuration.context != change.proposed.context:
            # What the change was based on is not in force any more, and never will be.
            self._settle(change, Refusal.CHANGED)

    def entered_term(self, term: int) -> None:
        """An entry of `term` was applied: what was handed over in an earlier one is lost."""
        change = self._change
        if change is not None and 0 < change.term < term:
            self._settle(change, Refusal.NOT_NOW)

    def restored(self, configuration: Configuration) -> None:
        """A snapshot has replaced the log: the change may be in it, and may have been undone."""
        change = self._change
        if change is None or not change.term:
            return
        if configuration == change.proposed:
            self._settle(change, None)
        else:
            self._settle(change, ProposalTimeout("a snapshot has replaced the log"))

    def told_removed(self, member_id: int) -> None:
        """The others say that this member, `member_id`, was removed: perhaps it asked for that."""
        change = self._change
        if change is not None and change.term and member_id not in change.proposed.members:
            self._settle(change, None)

    def expire(self, now: float) -> None:
        """Answer if the time is up."""
        change = self._change
        if change is not None and change.deadline <= now:
            self._give_up(change, NoLeader("no leader took the change of membership in time"))

    def close(self, error: ReplicaError) -> None:
        if self._change is not None:
            self._give_up(self._change, error)

    def forget(self, change: Change) -> None:
        """Nobody waits for it any more."""
        if self._change is change:
            self._change = None

    def _give_up(self, change: Change, error: ReplicaError) -> None:
        if change.term:
            error = ProposalTimeout("no answer in time; the members may be changed yet")
        self._settle(change, error)

    def _settle(self, change: Change, outcome: Refusal | ReplicaError | None) -> None:
        self._change = None
        if change.future.done():
            return
        if isinstance(outcome, ReplicaError):
            change.future.set_exception(outcome)
        else:
            change.future.set_result(outcome)
