"""Members of two versions together, and an upgrade of one after another, over gRPC."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.errors import OldMembers
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers import wire
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport, GrpcTransportConfig
from tests.controlplane.replica.group import Group, memory_group
from tests.ports import free_ports
from tests.waiting import until

OLD = 1


class Upgrading:
    """A group in which some members speak the old version only."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(5)
        self.versions = {1: OLD, 2: OLD, 3: OLD}
        members = {
            number: Member(f"replica-{number}", (f"http://127.0.0.1:{ports[number]}",))
            for number in self.versions
        }
        self.group = Group(folder, self._transport, members, {"heartbeat_interval": 0.05})
        self.group.url = lambda number: f"http://127.0.0.1:{ports[number]}"

    def _transport(self, config: ReplicaConfig) -> GrpcTransport:
        version = self.versions.get(config.member_id, wire.VERSION)
        mine = GrpcTransportConfig(0xC1, config.member_id, config.members, None, (), version)
        return GrpcTransport(mine, self.group.dice)

    async def upgrade(self, number: int) -> None:
        await self.group.stop(number)
        self.versions[number] = wire.VERSION
        await self.group.start(number)
        await self.group.leader()
        await self.group.connected()


@pytest.fixture
async def upgrading(tmp_path: Path) -> AsyncIterator[Upgrading]:
    upgrading = Upgrading(tmp_path)
    await upgrading.group.start()
    await upgrading.group.leader()
    yield upgrading
    await upgrading.group.stop()


def spoken(group: Group, number: int) -> dict[int, int]:
    """The version that a member speaks with each of its peers."""
    return dict(group.replicas[number]._around.transport.wire_versions())


async def test_members_are_upgraded_one_after_another_and_no_write_is_lost(
    upgrading: Upgrading,
) -> None:
    group = upgrading.group
    written: list[bytes] = []
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            command = b"%d" % len(written)
            replica = next(each for each in list(group.replicas.values()))
            await replica.propose(command)
            written.append(command)

    async with TaskSet("load") as tasks:
        writer = tasks.spawn(write(), name="write")
        for number in (3, 2):
            await upgrading.upgrade(number)
            count = len(written)
            await until(lambda: len(written) > count + 20, "writes go on")  # noqa: B023
        await until(lambda: spoken(group, 2) == {1: OLD, 3: wire.VERSION}, "each as it can")
        stop.set()
        await writer
    await upgrading.upgrade(1)
    await group.replicas[1].propose(b"all are new")

    assert await group.equal() == [*written, b"all are new"]
    await until(lambda: spoken(group, 1) == {2: wire.VERSION, 3: wire.VERSION}, "all new")


async def test_members_are_not_changed_before_all_know_how(upgrading: Upgrading) -> None:
    group = upgrading.group
    await upgrading.upgrade(2)
    await upgrading.upgrade(3)
    await until(lambda: spoken(group, 2).get(1) == OLD, "connected")
    with pytest.raises(OldMembers, match="replica-1: an older program runs there"):
        await group.replicas[2].add_member(4, Member("", (group.url(4),)))
    await upgrading.upgrade(1)
    await until(lambda: len(spoken(group, 2)) == 2, "connected again")
    await group.join(4, by=2)
    await group.replicas[4].propose(b"welcome")

    assert await group.equal() == [b"welcome"]


async def test_who_cannot_read_a_snapshot_gets_it_when_it_is_upgraded(
    upgrading: Upgrading, caplog: pytest.LogCaptureFixture
) -> None:
    group = upgrading.group
    group.settings |= {"snapshot_count": 10, "catch_up_entries": 5}
    for number in (1, 2):
        await upgrading.upgrade(number)
    await group.stop(3)
    for count in range(30):
        await group.replicas[1].propose(b"%d" % count)
    await group.compacted(15)
    await group.start(3)
    words = "not sent to replica-3: it runs an older program, which cannot read it; upgrade it"
    await until(lambda: words in caplog.text, "it is said")
    await upgrading.upgrade(3)

    assert len(await group.equal()) == 30


async def test_a_directory_of_before_members_were_written_down_is_taken_over(
    tmp_path: Path,
) -> None:
    async with memory_group(tmp_path) as (group, _):
        await group.replicas[1].propose(b"old")
        await group.stop()
        for number in group.members:
            (first,) = (tmp_path / f"replica-{number}" / "snapshots").iterdir()
            first.unlink()
        await group.start()
        node = group.replicas[1].node

        assert node is not None
        assert node.configuration == Configuration(frozenset({1, 2, 3}))
        assert group.replicas[1].membership.members == group.members
        await group.join(4)
        await group.stop()
        await group.start(1, 2, 3, 4)
        await group.replicas[4].propose(b"new")
        assert await group.equal() == [b"old", b"new"]
