"""What the transport reports, and what a replica does about it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from podling.controlplane.raft.messages import InstallSnapshot, Message
from podling.controlplane.raft.quorum import has_quorum
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.errors import MemberRemoved
from podling.controlplane.replica.members.membership import Membership
from podling.controlplane.replica.running import Running, Surroundings
from podling.controlplane.replica.transport import SnapshotRefused

PATIENCE_GROWTH = 1.5
"""By how much longer each wait for a cluster to begin is than the one before."""


class PeerEvents:
    """Implements `transport.Receiver`."""

    def __init__(self, config: ReplicaConfig, running: Running, around: Surroundings) -> None:
        self._config = config
        self._running = running
        self._transport = around.transport
        self.command_version = around.state_machine.command_version
        self._dice = around.dice
        self._campaign: asyncio.TimerHandle | None = None
        self._patience = config.heartbeat_interval
        """How long to wait for the first leader, in seconds."""
        self._committed_before = running.node.raft.log.committed

    @property
    def membership(self) -> Membership:
        # Whoever joins may be the one whose vote is needed to commit that it does.
        return self._running.roster.newest(self._running.node.configuration)

    def received(self, messages: Sequence[Message]) -> None:
        self._running.driver.received(messages)

    def connected(self, peer: int) -> None:
        configuration = self._running.node.configuration
        reachable = self._transport.connected_peers() | {self._config.member_id}
        if self._begun or not has_quorum(configuration, reachable):
            return
        voters = configuration.voters
        if self._config.member_id in voters:
            # In turn, so that members which start together do not split the vote.
            rank = sorted(voters).index(self._config.member_id)
            self._campaign_in(rank * self._config.heartbeat_interval / 2)

    def started(self) -> None:
        """A single member need not wait for anybody."""
        if self._running.node.configuration.voters == {self._config.member_id}:
            self.campaign_first()

    def campaign_first(self) -> None:
        """A cluster that starts need not wait for a leader it cannot have."""
        driver = self._running.driver
        if self._begun or driver.stopped or driver.stalled:
            return
        self._running.node.campaign_now()
        self._running.driver.wake()
        # Should the vote have been split after all, or the leader be deposed at once by one who
        # asked late: again, by dice. Ever more slowly, because the answers may take longer than
        # this; in the end elections have timers of their own.
        if self._patience <= self._config.election_timeout:
            self._campaign_in(self._dice.uniform(1, 3) * self._patience)
            self._patience *= PATIENCE_GROWTH

    @property
    def _begun(self) -> bool:
        """Whether a leader has been at work since this member was started."""
        return self._running.node.raft.log.committed > self._committed_before

    def _campaign_in(self, delay: float) -> None:
        if self._campaign is not None:
            self._campaign.cancel()
        self._campaign = asyncio.get_running_loop().call_later(delay, self.campaign_first)

    def unreachable(self, peer: int) -> None:
        self._running.node.unreachable(peer)
        self._running.driver.wake()

    def removed(self, peer: int) -> None:
        if self._running.roster.removed:
            # It has seen so itself, and is about to end.
            return
        self._running.changes.told_removed(self._config.member_id)
        self._running.driver.fail(
            MemberRemoved(
                f"this member was removed from the cluster, says {self._running.name_of(peer)}: it "
                "cannot come back; to run one here again, add a new member and give it an empty "
                "data directory"
            )
        )

    def snapshot_sent(self, peer: int, ok: bool) -> None:
        self._running.node.snapshot_sent(peer, ok)
        self._running.driver.wake()

    async def snapshot_kept(self, message: InstallSnapshot, size: int) -> int:
        self._check_term(message)
        if self._needs(message):
            return await self._running.received.kept(message.snapshot, size)
        return size

    async def snapshot_offered(
        self, message: InstallSnapshot, offset: int, size: int, chunks: AsyncIterator[bytes]
    ) -> None:
        self._check_term(message)
        if self._needs(message):
            await self._running.received.receive(message.snapshot, offset, size, chunks)
        self._running.driver.received([message])
        # Behind the driver's turn, which takes it, or else has no use for it.
        asyncio.get_running_loop().call_soon(self._running.received.drop_loaded)

    def _check_term(self, message: InstallSnapshot) -> None:
        if message.term < self._running.node.term:
            raise SnapshotRefused("it comes from a leader of an earlier term")

    def _needs(self, message: InstallSnapshot) -> bool:
        return message.snapshot.index > self._running.node.raft.log.committed
