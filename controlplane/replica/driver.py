"""The Ready loop: hand the core what came in, do what it says.

Nothing here waits. Messages, proposals, ticks and finished writes change the core at once and ask
for a flush; the flush runs once at the end of the event loop's iteration, so that everything that
came in one iteration goes out, and to disk, in one piece.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from podling.aiokit.tasks import OnDeath
from podling.controlplane.raft import configuration_entry, describe
from podling.controlplane.raft.configuration_entry import UnknownConfiguration
from podling.controlplane.raft.log import EntriesLost
from podling.controlplane.raft.messages import (
    Entry,
    EntryKind,
    InstallSnapshot,
    Message,
    SnapshotMeta,
    TimeoutNow,
)
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.rawnode import ProposalRefused, RawNode, Ready
from podling.controlplane.raft.state import Role
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.errors import ReplicaError, ReplicaStopped
from podling.controlplane.replica.gathering import Gathering
from podling.controlplane.replica.members.pending_change import PendingChange
from podling.controlplane.replica.members.roster import Roster
from podling.controlplane.replica.persister import Persister
from podling.controlplane.replica.proposals import Proposals, command_of
from podling.controlplane.replica.reads import Reads
from podling.controlplane.replica.snapshotting.log_growth import LogGrowth
from podling.controlplane.replica.snapshotting.received_snapshots import ReceivedSnapshots
from podling.controlplane.replica.snapshotting.snapshots import Snapshots
from podling.controlplane.replica.state_machine import StateMachine
from podling.controlplane.replica.transport import Transport

log = logging.getLogger(__name__)

READ_RETRY = 0.25
"""Seconds after which a read that the leader has not answered is asked again."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a driver brings together."""

    node: RawNode
    state_machine: StateMachine
    persister: Persister
    snapshots: Snapshots
    received: ReceivedSnapshots
    transport: Transport
    proposals: Proposals
    reads: Reads
    changes: PendingChange
    roster: Roster
    numbered_from: int
    """What is asked of leaders has numbers above this one."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Whom a driver tells."""

    leader_changed: Callable[[], None]
    """The role, the term, the leader or `Driver.leads` is another."""
    applied: Callable[[], None]
    """Something was applied."""
    restored: Callable[[], None]
    """A leader's snapshot was taken over."""
    failed: OnDeath


class Driver:
    """One member at work."""

    def __init__(self, config: ReplicaConfig, parts: Parts, listeners: Listeners) -> None:
        self._name = config.name
        self._parts = parts
        self._listeners = listeners
        self._max_append = config.max_append_bytes
        self._stall_after = config.election_timeout
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self.stopped = False
        self._request = parts.numbered_from
        self._refused = False
        """Proposals were refused; they stand in line until the next tick or leader."""
        self._gathering = Gathering(self._loop, self.wake)
        self.growth = LogGrowth(config)
        self.stalled = False
        """The disk has not finished a write for as long as an election takes."""
        self._seen = (parts.node.role, parts.node.term, parts.node.leader, False)
        self.applied_index = parts.node.raft.log.applied
        self.applied_term = parts.node.raft.log.term(self.applied_index) or 0
        """Term of the last entry applied."""

    @property
    def leads(self) -> bool:
        """Whether this member leads and has applied all that was committed before it did."""
        node = self._parts.node
        return node.role is Role.LEADER and self.applied_term == node.term

    def wake(self) -> None:
        """Something happened: flush before the loop's next iteration."""
        if not self._scheduled and not self.stopped:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def stop(self, error: ReplicaStopped) -> None:
        """Do nothing more; whoever waits gets `error`, or hears that the outcome is unknown."""
        self.stopped = True
        self._gathering.stop()
        self._parts.proposals.close(error)
        self._parts.reads.close(error)
        self._parts.changes.close(error)

    def fail(self, error: BaseException) -> None:
        """This member cannot go on: its disk failed, its state machine raised, its log is bad."""
        if self.stopped:
            return
        # What is no defect is told in a line: its text says what to do.
        told = isinstance(error, (EntriesLost, ReplicaError))
        log.critical("%s ends: %s", self._name, error, exc_info=None if told else error)
        self.stop(ReplicaStopped(f"{self._name} has failed: {error}"))
        self._listeners.failed(self._name, error)

    def tick(self) -> None:
        if self.stopped:
            return
        now = self._loop.time()
        proposals, reads = self._parts.proposals, self._parts.reads
        proposals.expire(now)
        reads.expire(now)
        self._parts.changes.expire(now)
        if reads.asked_before(now - READ_RETRY):
            reads.ask_again()
        self._refused = False
        waiting = proposals.waiting or reads.waiting or self._parts.changes.waiting
        self._note_stall(now)
        if self._tick_core() or waiting:
            self.wake()

    def _tick_core(self) -> bool:
        """One tick for the core; whether there is anything to do because of it.

        None while the disk is stalled, so that this member does not campaign: it could not even
        vote for itself. As a leader it makes way for one that can write.
        """
        node = self._parts.node
        if not self.stalled:
            return node.tick()
        if node.role is Role.LEADER and node.configuration.voters - {node.raft.id}:
            log.error("%s leads no more, because it cannot write", self._name)
            node.step_down()
            return True
        return node.role is Role.LEADER and node.tick()

    def _note_stall(self, now: float) -> None:
        stalled = self._parts.persister.waiting(now) >= self._stall_after
        if stalled and not self.stalled:
            log.error(
                "%s: the disk has not finished a write for %.1f s", self._name, self._stall_after
            )
        elif self.stalled and not stalled:
            log.warning("%s: the disk writes again", self._name)
        self.stalled = stalled

    def received(self, messages: Sequence[Message]) -> None:
        try:
            for message in messages:
                # Who cannot write is not to be elected.
                if not (self.stalled and isinstance(message, TimeoutNow)):
                    self._parts.node.step(message)
        except (AssertionError, UnknownConfiguration) as error:
            self.fail(error)
        self.wake()

    def persisted(self, readies: Sequence[Ready]) -> None:
        """These are on disk; say what depended on it."""
        if self.stopped:
            return
        self._parts.node.persisted(readies[-1].number)
        for ready in readies:
            self._parts.transport.send(ready.messages_after_persist)
        self.wake()

    def _flush(self) -> None:
        self._scheduled = False
        if self.stopped:
            return
        try:
            self._hand_over()
            ready = self._parts.node.ready()
            if ready is not None:
                self._carry_out(ready)
            self._note_leader()
        except Exception as error:  # noqa: BLE001 - whatever it is, this member cannot go on
            self.fail(error)

    def _hand_over(self) -> None:
        """Give the core the proposals and reads that stand in line."""
        proposals, reads = self._parts.proposals, self._parts.reads
        while proposals.waiting and not self._refused:
            if self._gathering.hold(proposals.in_line, on_their_way=proposals.on_their_way):
                break
            self._request += 1
            batch = proposals.take(self._max_append)
            try:
                to = self._parts.node.propose([each.data for each in batch], self._request)
            except ProposalRefused:
                proposals.put_back(batch)
                self._refused = True
            else:
                proposals.handed_over(batch, to.term, 0 if to.first_index else self._request)
                self._gathering.handed_over(len(batch))
        self._hand_over_change()
        request = reads.next_request(self._loop.time())
        if request and not self._parts.node.read_index(request):
            reads.ask_again()

    def _hand_over_change(self) -> None:
        change = self._parts.changes.waiting
        if change is None:
            return
        self._request += 1
        try:
            to = self._parts.node.propose_configuration(change.base, change.proposed, self._request)
        except ProposalRefused as error:
            self._parts.changes.refused_at_once(change, error.reason)
        else:
            request = 0 if to.first_index else self._request
            self._parts.changes.handed_over(change, to.term, request)

    def _carry_out(self, ready: Ready) -> None:
        """What the package `raft` asks of its driver, in that order."""
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s", self._name, describe.ready(ready))
        if ready.configuration is not None:
            self.reach()
        self._send(ready.messages)
        if ready.snapshot is not None:
            self._install(ready.snapshot)
        if ready.must_persist or ready.messages_after_persist:
            self._parts.persister.add(ready)
        for entry in ready.committed:
            self._apply(entry)
        self.growth.applied(ready.committed)
        self._parts.node.advance(ready)
        for request, reason in ready.refused:
            if not self._parts.changes.refused(request, reason):
                self._parts.proposals.refused(request)
                self._refused = True
        for request, index in ready.reads:
            self._parts.reads.answered(request, index, self.applied_index)
        if ready.committed:
            self._parts.reads.applied(self.applied_index)
            self._listeners.applied()
            # There may be more to apply than one Ready hands out.
            self.wake()

    def _send(self, messages: Sequence[Message]) -> None:
        self._parts.transport.send([m for m in messages if not isinstance(m, InstallSnapshot)])
        for message in messages:
            if isinstance(message, InstallSnapshot):
                file = self._parts.snapshots.file(message.snapshot)
                self._parts.transport.send_snapshot(message, file)

    def _install(self, snapshot: SnapshotMeta) -> None:
        log.info("%s takes over the snapshot at entry %d", self._name, snapshot.index)
        self._parts.state_machine.take(self._parts.received.loaded(snapshot))
        self.applied_term = snapshot.term
        self._parts.proposals.outcome_unknown("a snapshot has replaced the log; it may be in it")
        self.growth.restored(self._parts.snapshots.size(snapshot))
        self._membership_applied(snapshot.configuration)
        self._parts.changes.restored(snapshot.configuration)
        self.applied_index = snapshot.index
        self._parts.reads.applied(self.applied_index)
        self._listeners.restored()

    def _apply(self, entry: Entry) -> None:
        if entry.term != self.applied_term:
            self.applied_term = entry.term
            self._parts.proposals.entered_term(entry.term)
            self._parts.changes.entered_term(entry.term)
        if entry.kind is EntryKind.COMMAND:
            command = command_of(entry.data)
            result = self._parts.state_machine.apply(entry.index, entry.term, command)
            self._parts.proposals.applied(entry.data, result)
        elif entry.kind is EntryKind.CONFIGURATION:
            configuration = configuration_entry.decode(entry.data)
            self._membership_applied(configuration)
            self._parts.changes.applied(configuration)
        self.applied_index = entry.index

    def _membership_applied(self, configuration: Configuration) -> None:
        self._parts.roster.applied(configuration)
        self.reach()

    def reach(self) -> None:
        """Tell the transport who the members are."""
        roster, in_force = self._parts.roster, self._parts.node.configuration
        self._parts.transport.set_members(
            roster.reached(in_force), roster.membership.removed, roster.newest(in_force).version
        )

    def _shown(self, leader: int) -> str:
        """Its name; a member that joins knows ids before names."""
        member = self._parts.roster.membership.members.get(leader)
        return (member.name if member else "") or (f"{leader:x}" if leader else "unknown")

    def _note_leader(self) -> None:
        node = self._parts.node
        seen = (node.role, node.term, node.leader, self.leads)
        if seen == self._seen:
            return
        before, self._seen = self._seen, seen
        if before[1:3] != seen[1:3]:
            log.info(
                "%s is %s in term %d, leader %s",
                self._name, node.role.value, node.term, self._shown(node.leader),
            )  # fmt: skip
            # What was asked of the leader before will not be answered.
            self._parts.reads.ask_again()
            self._refused = False
            self.wake()
        self._listeners.leader_changed()
