"""A replica between start and stop: its parts, wired together."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from podling.aiokit.tasks import OnDeath, TaskSet
from podling.controlplane.raft.config import Config
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.rawnode import RawNode, Ready
from podling.controlplane.raft.storage import first_start
from podling.controlplane.replica.config import TICKS_PER_HEARTBEAT, ReplicaConfig
from podling.controlplane.replica.driver import Driver, Listeners, Parts
from podling.controlplane.replica.errors import ReplicaStopped
from podling.controlplane.replica.persister import Persister
from podling.controlplane.replica.proposals import Proposals
from podling.controlplane.replica.reads import Reads
from podling.controlplane.replica.snapshots import Snapshots, run_job
from podling.controlplane.replica.state_machine import StateMachine
from podling.controlplane.replica.ticker import Ticker
from podling.controlplane.replica.transport import Transport
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import DataDir, Recovered
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.errors import DataDirectoryError
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
        on_flushed: Callable[[], None],
    ) -> None:
        self._config = config
        self._around = around
        self._data_dir = data_dir
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
        self.reads = Reads()
        self.node = RawNode(_raft_config(config), recovered.stored, around.dice)
        self.snapshots = Snapshots(data_dir, self._snapshot_worker)
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
                around.transport,
                self.proposals,
                self.reads,
            ),
            Listeners(on_flushed, self._snapshot_if_due, around.fatal),
        )
        self._ticker: Ticker | None = None

    @classmethod
    async def begin(
        cls, config: ReplicaConfig, around: Surroundings, on_flushed: Callable[[], None]
    ) -> Self:
        """Open and read the data directory; raises DataDirectoryError."""
        identity = Identity(config.cluster_id, config.member_id)
        data_dir = DataDir.open(around.disk, config.data_dir, identity)
        try:
            recovered = _recover(config, around.state_machine, data_dir)
        except BaseException:
            data_dir.close()
            raise
        running = cls(config, around, data_dir, recovered, on_flushed)
        try:
            loop = asyncio.get_running_loop()
            await run_job(running._log_worker, recovered.writer.open(), loop)
        except BaseException:
            await running.end()
            raise
        running._ticker = Ticker(config.tick_interval, running.driver.tick)
        return running

    def halt(self) -> None:
        """Take part no more; whoever waits is told."""
        if self._ticker is not None:
            self._ticker.stop()
        self.driver.stop(ReplicaStopped(f"{self._config.name} is stopping"))

    async def end(self) -> None:
        """Finish the writes that were begun, close the files, unlock the directory."""
        await self._tasks.close()
        loop = asyncio.get_running_loop()
        try:
            await run_job(self._log_worker, self._writer.close(), loop)
            await run_job(self._snapshot_worker, lambda: None, loop)
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
        log_index = self.driver.applied_index
        due = log_index - self.node.raft.log.snapshot.index >= self._config.snapshot_count
        if due and not self.snapshots.saving:
            self.snapshots.saving = True
            self._tasks.spawn(self._snapshot(), name="snapshot")

    async def _snapshot(self) -> None:
        """Save the state, then drop the part of the log that nobody is likely to need."""
        try:
            point = self.node.snapshot_point()
            if point is None:
                return
            older = await self.snapshots.save(point, self._around.state_machine)
        finally:
            self.snapshots.saving = False
        compact_to = max(point.index - self._config.catch_up_entries, 0)
        self.node.snapshot_saved(point, compact_to)
        self._persister.run(self._writer.remove_before(min(older, compact_to) + 1))


def _raft_config(config: ReplicaConfig) -> Config:
    return Config(
        member_id=config.member_id,
        election_ticks=config.election_ticks,
        heartbeat_ticks=TICKS_PER_HEARTBEAT,
        max_append_bytes=config.max_append_bytes,
        max_uncommitted_bytes=2 * config.max_inflight_bytes,
    )


def _recover(config: ReplicaConfig, state_machine: StateMachine, data_dir: DataDir) -> Recovered:
    """Read the directory back, and the state machine's state with it."""
    members = frozenset(config.members)
    recovered = data_dir.recover(first_start(Configuration(members)))
    stored = recovered.stored.snapshot.configuration
    if stored.voters != members:
        raise DataDirectoryError(
            f"data directory {data_dir.path} was written in a cluster of members "
            f"{_hex_list(stored.voters)}, but the configuration lists {_hex_list(members)}: "
            "correct the list of members"
        )
    if recovered.snapshot_path is not None:
        disk, cluster_id = data_dir.disk, config.cluster_id
        state_machine.restore(snapshot_file.read_state(disk, recovered.snapshot_path, cluster_id))
    return recovered


def _hex_list(members: frozenset[int]) -> str:
    return ", ".join(f"{member:x}" for member in sorted(members))
