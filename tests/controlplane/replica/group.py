"""Three replicas in one process, over a network in memory or over gRPC with mutual TLS."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.errors import LearnerNotReady
from podling.controlplane.replica.members.membership import Member, Membership
from podling.controlplane.replica.replica import Replica
from podling.controlplane.replica.transport import Transport
from podling.controlplane.wal.disk import Disk, OsDisk
from podling.simulate.network import MemoryNetwork
from tests.controlplane.replica.ledger import Ledger
from tests.waiting import until

ELECTION_TIMEOUT = 2.0
"""Seconds: much longer than what a busy machine keeps a leader from its work. A leader that a test
has seen leads on, until the test itself ends that; the first one is elected at once however long
this is (`PeerEvents`)."""

QUICK_ELECTIONS = {"election_timeout": 0.3}
"""Settings for tests in which a leader goes without a word. Others may be elected at any time."""

PATIENCE = 30.0
"""Seconds until something that never comes is a failure."""

#: Makes the transport of a replica with this configuration.
MakeTransport = Callable[[ReplicaConfig], Transport]


@dataclass
class Group:
    """Members 1 to `size`, started and stopped one by one."""

    folder: Path
    make_transport: MakeTransport
    members: dict[int, Member]
    settings: dict[str, float] = field(default_factory=dict)
    own_settings: dict[int, dict[str, float]] = field(default_factory=dict)
    """Of single members, before `settings`."""
    joining: dict[int, Mapping[int, Member]] = field(default_factory=dict)
    """Of members that join: whom they are told of."""
    disks: dict[int, Disk] = field(default_factory=dict)
    replicas: dict[int, Replica] = field(default_factory=dict)
    ledgers: dict[int, Ledger] = field(default_factory=dict)
    failures: list[tuple[str, BaseException]] = field(default_factory=list)
    url: Callable[[int], str] = "http://{}".format
    """Where a member that joins is reached."""
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def config(self, number: int) -> ReplicaConfig:
        config = ReplicaConfig(
            name=f"replica-{number}",
            member_id=number,
            cluster_id=0xC1,
            members=self.joining.get(number, self.members),
            data_dir=self.folder / f"replica-{number}",
            join=number in self.joining,
            heartbeat_interval=0.02,
            election_timeout=ELECTION_TIMEOUT,
            request_timeout=PATIENCE,
        )
        settings = {**self.settings, **self.own_settings.get(number, {})}
        return replace(config, **settings)  # type: ignore[arg-type]

    async def start(self, *numbers: int) -> None:
        for number in numbers or self.members:
            config = self.config(number)
            self.ledgers[number] = Ledger()
            replica = Replica(
                config,
                self.ledgers[number],
                disk=self.disks.get(number, OsDisk()),
                transport=self.make_transport(config),
                dice=random.Random(self.dice.random()),
                fatal=lambda name, error: self.failures.append((name, error)),
            )
            await replica.start()
            self.replicas[number] = replica

    async def join(self, number: int, *, learner: bool = False, by: int = 0) -> Membership:
        """Add a member, asking member `by` (the leader if 0) to, and start it."""
        name = f"replica-{number}"
        member = Member(name, (self.url(number),), learner=learner)
        asked = self.replicas[by] if by else await self.leader()
        await self.connected()
        membership = await asked.add_member(number, member)
        self.joining[number] = membership.members
        await self.start(number)
        return membership

    async def promote(self, number: int) -> Membership:
        """Let a learner vote, however long it takes to catch up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while True:
            try:
                return await (await self.leader()).promote_member(number)
            except LearnerNotReady:
                assert loop.time() < deadline, f"{number} does not catch up\n{self.describe()}"
                await asyncio.sleep(0.01)

    async def stop(self, *numbers: int) -> None:
        for number in numbers or tuple(self.replicas):
            await self.replicas.pop(number).stop()

    async def leader(self) -> Replica:
        """The one that leads and that all running members agree on."""
        return self.replicas[await self.leader_id()]

    async def leader_id(self) -> int:
        found = 0

        def agreed() -> bool:
            nonlocal found
            seen = {replica.status().leader_id for replica in self.replicas.values()}
            found = max(seen)
            return len(seen) == 1 and found in self.replicas

        await until(agreed, "all agree on a leader", self.describe)
        return found

    async def connected(self) -> None:
        """Wait until every running member is connected to every other one."""
        await until(
            lambda: all(
                self.replicas.keys() - {number} <= replica.status().connected
                for number, replica in self.replicas.items()
            ),
            "all are connected",
            self.describe,
        )

    async def compacted(self, index: int, *numbers: int) -> None:
        """Wait until these members, or all, have only entries after `index` in their logs."""
        await until(
            lambda: all(
                self.replicas[number].status().first_index > index
                for number in numbers or self.replicas
            ),
            f"the log is compacted up to entry {index}",
            self.describe,
        )

    async def followers(self) -> list[Replica]:
        leader = await self.leader()
        return [replica for replica in self.replicas.values() if replica is not leader]

    async def equal(self) -> list[bytes]:
        """Wait until all running members have applied the same; return it."""

        def same() -> bool:
            applied = {replica.status().applied_index for replica in self.replicas.values()}
            lasts = {replica.status().last_index for replica in self.replicas.values()}
            return len(applied | lasts) == 1

        await until(same, "all have applied everything", self.describe)
        ledgers = [self.ledgers[number].commands for number in self.replicas]
        assert all(ledger == ledgers[0] for ledger in ledgers)
        return ledgers[0]

    def describe(self) -> str:
        return "\n".join(str(replica.status()) for replica in self.replicas.values())


@asynccontextmanager
async def memory_group(
    folder: Path, size: int = 3, **settings: float
) -> AsyncIterator[tuple[Group, MemoryNetwork]]:
    """A group on a network in memory, started; stopped at the end."""
    network = MemoryNetwork(random.Random(1))
    members = {
        number: Member(f"replica-{number}", (f"http://{number}",)) for number in range(1, size + 1)
    }
    group = Group(
        folder, lambda config: network.transport(config.member_id), members, dict(settings)
    )
    await group.start()
    try:
        yield group, network
    finally:
        network.heal()
        await group.stop()
