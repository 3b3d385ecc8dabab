"""A disk that hangs: whoever cannot write does not lead, and takes part again afterwards."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft.messages import Message, VoteRequest
from podling.controlplane.wal.disk import File, OsDisk
from podling.simulate.network import MemoryNetwork
from tests.controlplane.replica.group import Group, memory_group
from tests.waiting import until


class HangingFile:
    """A file whose writes wait until the disk goes on."""

    def __init__(self, file: File, goes_on: threading.Event) -> None:
        self._file = file
        self._goes_on = goes_on

    def write(self, offset: int, data: bytes, *, sync: bool) -> None:
        self._goes_on.wait()
        self._file.write(offset, data, sync=sync)

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def sync(self) -> None:
        self._goes_on.wait()
        self._file.sync()

    def close(self) -> None:
        self._file.close()


class HangingDisk(OsDisk):
    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()
        self.goes_on.set()

    def open(self, path: Path) -> File:
        return HangingFile(super().open(path), self.goes_on)


HANGS = "replica-1: the disk has not finished a write for 0.3 s"


async def hang(group: Group) -> HangingDisk:
    """Start all members anew: the first one on a disk that may hang, and soon sees that it does."""
    await group.stop()
    group.disks[1] = disk = HangingDisk()
    group.own_settings[1] = {"election_timeout": 0.3}
    await group.start()
    await group.leader()
    return disk


def votes_wanted(network: MemoryNetwork, by: int) -> list[Message]:
    """All requests for votes that a member sends from now on."""
    wanted: list[Message] = []
    deliver = network.deliver

    def listen(messages: Sequence[Message]) -> None:
        wanted.extend(m for m in messages if isinstance(m, VoteRequest) and m.sender == by)
        deliver(messages)

    network.deliver = listen  # type: ignore[method-assign]
    return wanted


async def test_a_leader_whose_disk_hangs_makes_way_and_nothing_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with memory_group(tmp_path, election_timeout=1.0) as (group, network):
        disk = await hang(group)
        await group.replicas[1].transfer_leadership(1)
        await group.replicas[1].propose(b"before")
        disk.goes_on.clear()
        try:
            wanted = votes_wanted(network, by=1)
            # Two others have it on their disks, which is enough.
            await group.replicas[1].propose(b"during")
            await until(
                lambda: group.replicas[2].status().leader_id in (2, 3),
                "another leads",
                group.describe,
            )
            await group.replicas[2].propose(b"after")
            assert "leads no more, because it cannot write" in caplog.text
            # Nor does it come back, or trouble the others, however long it hangs.
            await asyncio.sleep(0.6)
            assert group.replicas[1].status().role == "follower"
            assert not wanted
        finally:
            disk.goes_on.set()

        assert await group.equal() == [b"before", b"during", b"after"]
        await group.replicas[1].transfer_leadership(1)
        assert "the disk writes again" in caplog.text


async def test_a_follower_whose_disk_hangs_is_not_elected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with memory_group(tmp_path) as (group, network):
        disk = await hang(group)
        await group.replicas[2].transfer_leadership(2)
        disk.goes_on.clear()
        try:
            await group.replicas[2].propose(b"it cannot write this")
            await until(lambda: HANGS in caplog.text, "it sees that its disk hangs")
            wanted = votes_wanted(network, by=1)
            network.isolate(1)
            await asyncio.sleep(0.6)
            assert group.replicas[1].status().role == "follower"
            assert not wanted
        finally:
            disk.goes_on.set()
            network.heal()

        assert await group.equal() == [b"it cannot write this"]


async def test_a_single_member_waits_for_its_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with memory_group(tmp_path, size=1) as (group, _), TaskSet("test") as tasks:
        disk = await hang(group)
        term = group.replicas[1].status().term
        disk.goes_on.clear()
        proposal = tasks.spawn(group.replicas[1].propose(b"late"), name="late")
        await until(lambda: HANGS in caplog.text, "it sees that its disk hangs")
        disk.goes_on.set()

        assert await proposal == (1, b"late")
        assert group.replicas[1].status().term == term
