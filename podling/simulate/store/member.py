"""One member of the simulated store: the real server, on an event loop and a disk of its own."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.errors import MemberRemoved, ReplicaError
from podling.controlplane.replica.members import membership
from podling.controlplane.replica.members.membership import Membership
from podling.controlplane.replica.replica import Replica
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.machine.snapshots import Contents
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.store import Store
from podling.controlplane.store.store_server import StoreServer, StoreServerConfig
from podling.controlplane.wal.errors import DataDirectoryError
from podling.simulate.disk import MemoryDisk, PowerLost
from podling.simulate.event_loop import VirtualLoop, VirtualTime
from podling.simulate.network import Delay, MemoryNetwork, MemoryTransport
from podling.simulate.store.committed_history import CommittedHistory
from podling.simulate.store.raft_invariants import RaftInvariants
from podling.simulate.store.schedule import Settings
from podling.simulate.store.traces import Trace

CLUSTER = 0xC1
PUBLISH_RETRY = 0.5


def url_of(number: int) -> str:
    return f"http://member-{number}:2380"


class ObservedMachine(StoreStateMachine):
    """The state machine, looked on."""

    member = 0
    history: CommittedHistory

    def apply(self, index: int, term: int, command: bytes) -> object:
        result = super().apply(index, term, command)
        self.history.applied(self.member, index, term, command, result, self)
        return result

    def snapshot(self) -> Iterator[bytes]:
        self.history.saved(self.member, self)
        return super().snapshot()

    def take(self, contents: Contents) -> None:
        super().take(contents)
        self.history.restored(self.member, self)


class QuickPasswords:
    """Implements `Passwords` without threads: what is kept can be read, and takes no time."""

    async def hash(self, password: str) -> bytes:
        return password.encode()

    async def fits(self, password: str, password_hash: bytes) -> bool:
        return password.encode() == password_hash

    def close(self) -> None:
        """Nothing is held."""


class SimulatedStore(Store):
    """A store with such passwords."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, passwords=QuickPasswords(), **options)


class SimulatedServer(StoreServer):
    """A server of these."""

    machine_type = ObservedMachine
    store_type = SimulatedStore
    machine: ObservedMachine


class Honest:
    """What a member is built of; a planted bug puts something else in (`planted`)."""

    server_type: type[SimulatedServer] = SimulatedServer

    def disk(self, disk: MemoryDisk) -> MemoryDisk:
        return disk

    def transport(self, network: MemoryNetwork, member: int) -> MemoryTransport:
        return network.transport(member)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all members have in common."""

    time: VirtualTime
    network: MemoryNetwork
    trace: Trace
    history: CommittedHistory
    raft: RaftInvariants
    plant: Honest


class Member:
    """One member, dead or alive. Its disk outlives it."""

    def __init__(
        self,
        number: int,
        settings: Settings,
        members: Mapping[int, membership.Member] | None,
        around: Surroundings,
        dice: random.Random,
    ) -> None:
        """`members` are those that a cluster begins with; None if it begins without this one."""
        self.number = number
        self.name = f"member-{number}"
        self.rate = settings.drift[number - 1] if number <= len(settings.drift) else 1.0
        self.disk = MemoryDisk(dice, latency=Delay(*settings.disk_latency))
        self.disk_failed = False
        """Whether a fault of its disk was injected, so that it may end."""
        self.disk_damaged = False
        """Whether bits of its files were flipped, so that it may refuse them and end."""
        self.loop: VirtualLoop | None = None
        """None while it is down."""
        self.server: SimulatedServer | None = None
        """None until it has begun to start."""
        self.up = False
        """Whether it has started."""
        self.removed = False
        """Whether it has ended because it was removed from the cluster."""
        self.on_end: list[Callable[[], None]] = []
        """Called once, when it ends."""
        self._settings = settings
        self._members = members
        self._joins = False
        self._around = around
        self._dice = dice
        self._transport: MemoryTransport | None = None

    @property
    def down(self) -> bool:
        return self.loop is None

    def join(self, membership: Membership) -> None:
        """It was added to a cluster of these members: start it for the first time."""
        if self._members is None:
            self._members = dict(membership.members)
            self._joins = True
            self.start()

    def start(self) -> None:
        """Begin to start it, as a new process on the disk that is there; if it was ever added."""
        if self._members is None or not self.down:
            return
        around = self._around
        around.trace.note("start", self.name)
        self.loop = around.time.new_loop(
            self.name, rate=self.rate, origin=self._dice.uniform(1, 1000)
        )
        self.loop.create_task(self._run(self.loop), name=f"{self.name}/start")

    def end(self, *, power: bool = False) -> None:
        """It ends in the middle of whatever it does: killed, or its machine's `power` lost."""
        if self.loop is None:
            return
        self._around.trace.note("power-loss" if power else "kill", self.name)
        self.loop.kill()
        self._gone(unnoticed=power)
        if power:
            self.disk.crash()
        else:
            self.disk.kill()

    def mend(self) -> None:
        """Its files are restored from a copy of its own."""
        self.disk.mend()
        self.disk_damaged = False

    async def stop(self) -> None:
        """As SIGTERM does; to be run on its loop."""
        assert self.loop is not None and self.server is not None
        self._around.trace.note("stop", self.name)
        self.up = False
        await self.server.stop()
        self.loop.kill()
        self._gone(unnoticed=False)
        self.disk.kill()

    def _gone(self, *, unnoticed: bool) -> None:
        self.loop = self.server = None
        self.up = False
        if self._transport is not None:
            self._around.network.leave(self._transport, unnoticed=unnoticed)
            self._transport = None
        self._around.history.forget(self.number)
        self._around.raft.forget(self.number)
        callbacks, self.on_end = self.on_end, []
        for callback in callbacks:
            callback()

    async def _run(self, loop: VirtualLoop) -> None:
        try:
            self.server = self._build(loop)
            await self.server.start()
        except PowerLost:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the process ends
            self._failed(loop, f"did not start: {error!r}", error)
            return
        self.up = True
        self._around.trace.note("up", self.name)
        if self._joins:
            await self._publish(self.server.replica)

    def _build(self, loop: VirtualLoop) -> SimulatedServer:
        around = self._around
        self._transport = around.plant.transport(around.network, self.number)
        dice = random.Random(self._dice.getrandbits(64))
        server = around.plant.server_type(
            StoreServerConfig(self._replica_config(), self._store_config()),
            disk=around.plant.disk(self.disk),
            transport=self._transport,
            dice=dice,
            new_id=lambda: dice.getrandbits(64),
            fatal=lambda name, error: self._failed(loop, f"{name}: {error!r}", error),
        )
        server.machine.member = self.number
        server.machine.history = around.history
        return server

    def _failed(self, loop: VirtualLoop, text: str, error: BaseException) -> None:
        """The process ends, as a real one would."""
        self._around.trace.note("failed", f"{self.name} {text}")
        self.removed = self.removed or isinstance(error, MemberRemoved)
        if not self._may_end_by(error):
            self._around.trace.fail("members do not end by themselves", f"{self.name}: {text}")
        # At the next turn, so that whoever tells may return.
        loop.call_soon(self.end)

    def _may_end_by(self, error: BaseException) -> bool:
        """Whether that is what it is to end by, as things are."""
        if isinstance(error, DataDirectoryError) and self.disk_damaged:
            self._around.trace.note("damage-refused", self.name)
            return True
        return self.removed or (isinstance(error, OSError) and self.disk_failed)

    async def _publish(self, replica: Replica) -> None:
        """Tell the others its name, as whoever runs a member does."""
        while True:
            try:
                await replica.publish(self.name, ())
            except ReplicaError:
                await asyncio.sleep(PUBLISH_RETRY)
            else:
                return

    def _replica_config(self) -> ReplicaConfig:
        assert self._members is not None
        settings = self._settings
        return ReplicaConfig(
            name=self.name,
            member_id=self.number,
            cluster_id=CLUSTER,
            members=self._members,
            data_dir=Path(f"/{self.name}"),
            heartbeat_interval=settings.heartbeat_interval,
            election_timeout=settings.election_timeout,
            snapshot_count=settings.snapshot_count,
            catch_up_entries=settings.catch_up_entries,
            segment_bytes=settings.segment_bytes,
            join=self._joins,
        )

    def _store_config(self) -> StoreConfig:
        return StoreConfig(
            request_timeout=5.0,
            min_lease_ttl=1,
            quota_bytes=self._settings.quota_bytes,
            corrupt_check_interval=self._settings.corrupt_check_interval,
        )
