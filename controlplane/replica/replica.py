"""A replica: one member of a group that agrees on a sequence of commands."""

import asyncio
import logging
import random
from collections.abc import Callable

from podling.aiokit.tasks import OnDeath
from podling.controlplane.raft.quorum import has_quorum
from podling.controlplane.raft.rawnode import RawNode
from podling.controlplane.raft.state import Role
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.errors import (
    MemberRemoved,
    NoLeader,
    NotForLearners,
    ReplicaStopped,
)
from podling.controlplane.replica.leadership import Leadership, OnLeadership
from podling.controlplane.replica.members.membership import Member, Membership
from podling.controlplane.replica.members.membership_changes import MembershipChanges
from podling.controlplane.replica.members.roster import OnMembership, Roster
from podling.controlplane.replica.peer_events import PeerEvents
from podling.controlplane.replica.running import Running, Surroundings
from podling.controlplane.replica.state_machine import StateMachine
from podling.controlplane.replica.status import PeerStatus, ReplicaStatus
from podling.controlplane.replica.transport import Transport
from podling.controlplane.wal.disk import Disk

log = logging.getLogger(__name__)


class Replica:
    """Replicates commands to its peers and applies what is committed to a state machine.

    `fatal` is told of what ends this replica: a disk that fails, a state machine that raises. From
    then on it writes, sends and applies nothing more, and the process should end.

    Every `timeout` is in seconds; without one it is `ReplicaConfig.request_timeout`.
    """

    def __init__(
        self,
        config: ReplicaConfig,
        state_machine: StateMachine,
        *,
        disk: Disk,
        transport: Transport,
        dice: random.Random,
        fatal: OnDeath,
    ) -> None:
        self._config = config
        self._around = Surroundings(state_machine, disk, transport, dice, fatal)
        self._leadership = Leadership()
        self._roster = Roster(config.member_id, config.members)
        self._roster.subscribe(self._members_changed)
        self._changes = MembershipChanges(config, self._roster, transport, self._take_part)
        self._running: Running | None = None

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def member_id(self) -> int:
        return self._config.member_id

    @property
    def applied_index(self) -> int:
        """The last entry applied here; raises ReplicaStopped before start and after stop."""
        return self._take_part().driver.applied_index

    @property
    def unapplied(self) -> int:
        """Entries known to be committed and not applied here yet; raises as `applied_index`."""
        running = self._take_part()
        return running.node.raft.log.committed - running.driver.applied_index

    @property
    def node(self) -> RawNode | None:
        """The core while it runs, for those who look on; nobody else may touch it."""
        return None if self._running is None else self._running.node

    async def start(self) -> None:
        """Read back what is on disk, restore the state machine, join the peers.

        Returns when this replica takes part; a leader may not be known yet (`leader_known`).
        Raises DataDirectoryError if the directory is in use, damaged, or another member's,
        MemberRemoved if this member was removed, and TransportError if it cannot listen.
        """
        self._running = await Running.begin(
            self._config, self._around, self._roster, self._leader_changed
        )
        receiver = PeerEvents(self._config, self._running, self._around)
        try:
            self._check_not_removed()
            self._running.driver.reach()
            await self._around.transport.start(receiver)
        except BaseException:
            running, self._running = self._running, None
            running.halt()
            await running.end()
            raise
        receiver.started()

    async def stop(self) -> None:
        """Hand leadership over if this replica has it, then give everything back."""
        running = self._running
        if running is None:
            return
        await self._hand_over(running)
        self._running = None
        running.halt()
        self._leadership.update(0, leads=False, term=running.node.term)
        await self._around.transport.stop()
        await asyncio.shield(running.end())

    async def propose(self, command: bytes, *, timeout: float | None = None) -> object:
        """Replicate `command`; return what applying it returned on this replica.

        May be called on any replica; it waits up to `timeout` seconds, for a leader too. What is
        certain not to have been written (the leader changed meanwhile) is proposed again within
        that time. Raises NoLeader, TooManyProposals, ProposalTooLarge, NotForLearners or
        ReplicaStopped (nothing was written), or ProposalTimeout (unknown).
        """
        running = self._take_part()
        self._check_votes()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        proposal = running.proposals.add(command, future, self._deadline(timeout))
        running.driver.wake()
        try:
            return await future
        except asyncio.CancelledError:
            running.proposals.forget(proposal)
            raise

    async def read_index(self, *, timeout: float | None = None) -> int:
        """Wait until this replica has applied all that was committed when this was called.

        Reading the state machine right after is linearizable (Raft thesis, section 6.4). Returns
        the index. Raises NoLeader if no leader could confirm itself within `timeout` seconds, and
        NotForLearners.
        """
        running = self._take_part()
        self._check_votes()
        return await running.read_index(self._deadline(timeout))

    def status(self) -> ReplicaStatus:
        """What this replica knows now; raises ReplicaStopped before start and after stop."""
        running = self._take_part()
        raft = running.node.raft
        return ReplicaStatus(
            name=self.name,
            member_id=self._config.member_id,
            cluster_id=self._config.cluster_id,
            role=raft.role.value,
            term=raft.term,
            leader_id=raft.leader,
            commit_index=raft.log.committed,
            applied_index=running.driver.applied_index,
            first_index=raft.log.first_index,
            last_index=raft.log.last_index,
            snapshot_index=raft.log.snapshot.index,
            connected=self._around.transport.connected_peers(),
            peers={
                peer: PeerStatus(each.match_index, each.state.value, each.active)
                for peer, each in raft.progress.items()
                if peer != raft.id
            },
            leader_changes=self._leadership.changes,
            pending_proposals=len(running.proposals),
            failed_proposals=running.proposals.failed,
            learner=self._roster.learner,
        )

    def common_command_version(self) -> int:
        """The newest version of commands that every member understands, as far as is known now.

        0 unless all of them are connected: who is away may come back as an older program.
        """
        theirs = self._around.transport.command_versions()
        others = self._roster.membership.members.keys() - {self._config.member_id}
        if not others <= theirs.keys():
            return 0
        return min((self._around.state_machine.command_version, *map(theirs.__getitem__, others)))

    async def transfer_leadership(
        self, to: int | None = None, *, timeout: float | None = None
    ) -> int:
        """Make another member the leader; `None` picks the one that is furthest.

        Returns the new leader's id. May be called on any replica. Raises NoLeader if it did not
        happen within `timeout` seconds, ValueError if `to` is not a member that votes.
        """
        if to is not None and to not in self._roster.membership.voters:
            raise ValueError(f"{to:x} is not a member that votes")
        loop = asyncio.get_running_loop()
        deadline = self._deadline(timeout)
        before = await self.leader_known(timeout)
        while (leader := self._take_part().node.leader) != to:
            if to is None and leader not in (0, before):
                break
            if loop.time() >= deadline:
                raise NoLeader("leadership was not handed over in time")
            running = self._take_part()
            running.node.transfer_leadership(to or self._successor())
            running.driver.wake()
            left = deadline - loop.time()
            await self._leadership.change(min(left, self._config.election_timeout))
        return leader

    def subscribe_leadership(self, callback: OnLeadership) -> Callable[[], None]:
        """Call back whenever this replica begins or ceases to lead; returns the way to end that.

        It begins to lead when the first entry of its term is applied here, so that a new leader
        has applied everything that was acknowledged before. Called from the event loop; must not
        raise.
        """
        return self._leadership.subscribe(callback)

    async def leader_known(self, timeout: float | None = None) -> int:
        """Wait until a leader is known and return its id; raises NoLeader after `timeout` s."""
        loop = asyncio.get_running_loop()
        deadline = self._deadline(timeout)
        while not (leader := self._take_part().node.leader):
            if loop.time() >= deadline:
                raise NoLeader("no leader is known")
            await self._leadership.change(deadline - loop.time())
        return leader

    @property
    def membership(self) -> Membership:
        """The members as of the last entry applied here."""
        return self._roster.membership

    def subscribe_membership(self, callback: OnMembership) -> Callable[[], None]:
        """Call back with the members whenever they change; returns the way to end that.

        Called from the event loop; must not raise.
        """
        return self._roster.subscribe(callback)

    async def add_member(
        self, member_id: int, member: Member, *, timeout: float | None = None
    ) -> Membership:
        """Add a member, a voter or a learner; return the members with it.

        It is to be started after that, with `ReplicaConfig.join`. All changes of membership may be
        asked of any replica and are done when they return; each raises NoLeader or
        MembershipRefused (nothing was changed), or ProposalTimeout (unknown). This one raises
        MemberExists, MemberRemoved, PeerUrlExists, TooManyLearners, NotEnoughStarted,
        UnhealthyCluster and OldMembers of the latter.
        """
        return await self._changes.add(member_id, member, self._deadline(timeout))

    async def remove_member(self, member_id: int, *, timeout: float | None = None) -> Membership:
        """Remove a member for good, this one perhaps; return those that are left.

        The removed one ends when it hears of it. Raises MemberNotFound, MemberRemoved,
        NotEnoughStarted, UnhealthyCluster or OldMembers.
        """
        return await self._changes.remove(member_id, self._deadline(timeout))

    async def update_member(
        self, member_id: int, peer_urls: tuple[str, ...], *, timeout: float | None = None
    ) -> Membership:
        """The member is reached elsewhere. Raises MemberNotFound, PeerUrlExists or OldMembers."""
        return await self._changes.update(member_id, peer_urls, self._deadline(timeout))

    async def promote_member(self, member_id: int, *, timeout: float | None = None) -> Membership:
        """Let a learner vote.

        Raises MemberNotFound, MemberNotLearner, LearnerNotReady, NotEnoughStarted or OldMembers.
        """
        return await self._changes.promote(member_id, self._deadline(timeout))

    async def publish(
        self, name: str, client_urls: tuple[str, ...], *, timeout: float | None = None
    ) -> Membership:
        """Tell the others this member's name and where its clients reach it, if that is news."""
        return await self._changes.publish(name, client_urls, self._deadline(timeout))

    def _successor(self) -> int:
        """Whom to hand over to: the furthest of those that are connected; 0 if not leading."""
        status = self.status()
        candidates = status.connected & self._roster.membership.voters
        peers = {peer: each for peer, each in status.peers.items() if peer in candidates}
        return max(peers, key=lambda peer: (peers[peer].match_index, -peer), default=0)

    def _deadline(self, timeout: float | None) -> float:
        """By the event loop's clock."""
        seconds = self._config.request_timeout if timeout is None else timeout
        return asyncio.get_running_loop().time() + seconds

    def _take_part(self) -> Running:
        if self._running is None or self._running.driver.stopped:
            raise ReplicaStopped(f"{self.name} is not running")
        return self._running

    def _check_votes(self) -> None:
        if self._roster.learner:
            raise NotForLearners(f"{self.name} is a learner: ask a member that votes")

    def _check_not_removed(self) -> None:
        if self._roster.removed:
            raise MemberRemoved(
                f"{self.name} was removed from the cluster, and cannot come back; to run a member "
                "here again, add a new one and give it an empty data directory"
            )

    def _members_changed(self, _: Membership) -> None:
        """If this replica was removed: stay long enough for the others to know it, then end."""
        running = self._running
        if running is not None and self._roster.removed:
            running.end_in(
                self._config.election_timeout,
                MemberRemoved(f"{self.name} was removed from the cluster, for good"),
            )

    def _leader_changed(self) -> None:
        """What `Listeners.leader_changed` tells of: pass it on."""
        running = self._running
        if running is not None:
            node = running.node
            self._leadership.update(node.leader, leads=running.driver.leads, term=node.term)

    async def _hand_over(self, running: Running) -> None:
        leads = running.node.role is Role.LEADER and not running.driver.stopped
        others = self._around.transport.connected_peers()
        if not leads or not has_quorum(running.node.configuration, others):
            # Nobody can lead without this member.
            return
        try:
            await self.transfer_leadership(timeout=self._config.stop_timeout)
        except NoLeader:
            log.info("%s could not hand leadership over before it stops", self.name)
