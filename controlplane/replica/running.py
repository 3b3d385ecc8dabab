"""A replica between start and stop: its parts, wired together."""

import asyncio
import logging
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from podling.aiokit.tasks import OnDeath, TaskSet
from podling.controlplane.raft.config import Config
from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.rawnode import RawNode, Ready
from podling.controlplane.replica.config import TICKS_PER_HEARTBEAT, ReplicaConfig
from podling.controlplane.replica.driver import Driver, Listeners, Parts
from podling.controlplane.replica.errors import ReplicaStopped
from podling.controlplane.replica.members.pending_change import PendingChange
from podling.controlplane.replica.members.roster import Roster
from podling.controlplane.replica.persister import Persister
from podling.controlplane.replica.proposals import Proposals
from podling.controlplane.replica.reads import Read, Reads
from podling.controlplane.replica.recovery import recover
from podling.controlplane.replica.snapshotting.received_snapshots import ReceivedSnapshots
from podling.controlplane.replica.snapshotting.snapshots import Snapshots, run_job
from podling.controlplane.replica.state_machine import StateMachine
from podling.controlplane.replica.ticker import Ticker
from podling.controlplane.replica.transport import Transport
from podling.controlplane.wal.data_dir import DataDir, Recovered
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.segments import Identity

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The collaborators of a replica."""

    state_machine: StateMachine
    disk: Disk
    transport: Transport
    dice: random.Random
    fatal: OnDeath


class Running:
    """One run of a replica."""

    def __init__(
        self,
        config: ReplicaConfig,
        around: Surroundings,
        data_dir: DataDir,
        recovered: Recovered,
        roster: Roster,
        on_leader_changed: Callable[[], None],
    ) -> None:
        self._config = config
        self._around = around
        self._data_dir = data_dir
        self.roster = roster
        self._writer = recovered.writer
        self._log_worker = around.disk.start_worker(f"{config.name}-log")
        self._snapshot_worker = around.disk.start_worker(f"{config.name}-snap")
        self._tasks = TaskSet(f"{config.name}/replica", on_death=self._task_died)
        self.proposals = Proposals(
            around.dice.getrandbits(64),
            max_count=config.max_inflight_proposals,
            max_bytes=config.max_inflight_bytes,
            max_command_bytes=config.max_proposal_bytes,
        )
        # Drawn anew at each start: a leader may still answer what the run before has asked.
        numbered_from = around.dice.getrandbits(62)
        self.reads = Reads(numbered_from)
        self.changes = PendingChange()
        self.node = RawNode(_raft_config(config), recovered.stored, around.dice)
        roster.begin(_committed_configuration(self.node))
        self.snapshots = Snapshots(data_dir, self._snapshot_worker)
        self.received = ReceivedSnapshots(data_dir, self._snapshot_worker, around.state_machine)
        self._persister = Persister(
            self._writer, self._log_worker, self._written, self._disk_failed
        )
        self.driver = Driver(
            config,
            Parts(
                self.node,
                around.state_machine,
                self._persister,
                self.snapshots,
                self.received,
                around.transport,
                self.proposals,
                self.reads,
                self.changes,
                roster,
                numbered_from,
            ),
            Listeners(on_leader_changed, self._snapshot_if_due, self._restored, around.fatal),
        )
        self.driver.growth.state_size = self.snapshots.size(recovered.stored.snapshot)
        self._ticker: Ticker | None = None
        self._ending: asyncio.TimerHandle | None = None

    @classmethod
    async def begin(
        cls,
        config: ReplicaConfig,
        around: Surroundings,
        roster: Roster,
        on_leader_changed: Callable[[], None],
    ) -> Self:
        """Open and read the data directory; raises DataDirectoryError."""
        identity = Identity(config.cluster_id, config.member_id)
        data_dir = DataDir.open(around.disk, config.data_dir, identity, config.segment_bytes)
        try:
            recovered = recover(config, around.state_machine, data_dir)
        except BaseException:
            data_dir.close()
            raise
        running = cls(config, around, data_dir, recovered, roster, on_leader_changed)
        try:
            loop = asyncio.get_running_loop()
            await run_job(running._log_worker, recovered.writer.open(), loop)
        except BaseException:
            await running.end()
            raise
        running._ticker = Ticker(config.tick_interval, running.driver.tick)
        return running

    async def read_index(self, deadline: float) -> int:
        """Wait until all that was committed before is applied; raises NoLeader at `deadline`."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.reads.add(Read(future, deadline))
        self.driver.wake()
        return await future

    def name_of(self, member: int) -> str:
        known = self.roster.membership.members.get(member)
        return known.name if known is not None and known.name else f"member {member:x}"

    def end_in(self, delay: float, error: Exception) -> None:
        """Fail with `error` after so many seconds, counted from the last time this is said."""
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.get_running_loop().call_later(delay, self.driver.fail, error)

    def halt(self) -> None:
        """Take part no more; whoever waits is told."""
        if self._ending is not None:
            self._ending.cancel()
        if self._ticker is not None:
            self._ticker.stop()
        self.driver.stop(ReplicaStopped(f"{self._config.name} is stopping"))

    async def end(self) -> None:
        """Finish the writes that were begun, close the files, unlock the directory."""
        await self._tasks.close()
        loop = asyncio.get_running_loop()
        try:
            await run_job(self._log_worker, self._writer.close(), loop)
            await self.received.forget()
        finally:
            self._log_worker.close()
            self._snapshot_worker.close()
            self._data_dir.close()

    def _written(self, readies: Sequence[Ready]) -> None:
        self.driver.persisted(readies)

    def _disk_failed(self, error: BaseException) -> None:
        self.driver.fail(error)

    def _task_died(self, name: str, error: BaseException) -> None:
        self.driver.fail(error)

    def _snapshot_if_due(self) -> None:
        if self.driver.growth.due and not self.snapshots.saving:
            self.snapshots.saving = True
            self._tasks.spawn(self._snapshot(), name="snapshot")

    def _restored(self) -> None:
        """The file that the leader has sent counts as one's own do."""
        self._tasks.spawn(self.snapshots.remove_old(), name="remove-old-snapshots")

    async def _snapshot(self) -> None:
        """Save the state, then drop the part of the log that nobody is likely to need."""
        try:
            point = self.node.snapshot_point()
            if point is None:
                return
            mark = self.driver.growth.mark()
            saved = await self.snapshots.save(point, self._around.state_machine)
        finally:
            self.snapshots.saving = False
        if self.node.raft.log.snapshot.index >= point.index:
            # A leader's has replaced the log meanwhile, and the file of this one perhaps as well.
            return
        self.driver.growth.saved(mark, saved.size)
        compact_to = self._compact_to(point)
        self.node.snapshot_saved(point, compact_to)
        self._persister.run(self._writer.remove_before(min(saved.older, compact_to) + 1))

    def _compact_to(self, point: SnapshotMeta) -> int:
        """The last entry that need not stay in the log behind a snapshot."""
        log = self.node.raft.log
        first = max(point.index - self._config.catch_up_entries + 1, log.first_index)
        if first > point.index:
            return point.index
        behind = log.slice(first, sys.maxsize, through=point.index)
        return point.index - self.driver.growth.kept(behind)


def _raft_config(config: ReplicaConfig) -> Config:
    return Config(
        member_id=config.member_id,
        election_ticks=config.election_ticks,
        heartbeat_ticks=TICKS_PER_HEARTBEAT,
        max_append_bytes=config.max_append_bytes,
        max_uncommitted_bytes=2 * config.max_inflight_bytes,
    )


def _committed_configuration(node: RawNode) -> Configuration:
    log = node.raft.log
    return log.configurations.at(log.committed)
