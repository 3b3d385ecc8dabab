"""A disk that hangs: whoever cannot write does not lead, and takes part again afterwards."""

import asyncio
import threading
from pathlib import Path

import pytest

from podling.aiokit.tasks import TaskSet
from podling.controlplane.wal.disk import File, OsDisk
from tests.controlplane.replica.group import memory_group
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


async def test_a_leader_whose_disk_hangs_makes_way_and_nothing_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = HangingDisk()
    async with memory_group(tmp_path) as (group, _):
        await group.stop()
        group.disks[1] = disk
        await group.start()
        await group.leader()
        await group.replicas[1].transfer_leadership(1)
        await group.replicas[1].propose(b"before")
        disk.goes_on.clear()
        try:
            term = group.replicas[2].status().term
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
            elected = group.replicas[2].status().term
            assert elected == term + 1
            await asyncio.sleep(0.5)
            assert group.replicas[2].status().term == elected
            assert group.replicas[1].status().role == "follower"
        finally:
            disk.goes_on.set()

        assert await group.equal() == [b"before", b"during", b"after"]
        await group.replicas[1].transfer_leadership(1)
        assert "the disk writes again" in caplog.text


async def test_a_follower_whose_disk_hangs_is_not_elected(tmp_path: Path) -> None:
    disk = HangingDisk()
    async with memory_group(tmp_path) as (group, network):
        await group.stop()
        group.disks[1] = disk
        await group.start()
        await group.leader()
        await group.replicas[2].transfer_leadership(2)
        disk.goes_on.clear()
        try:
            await group.replicas[2].propose(b"it cannot write this")
            await asyncio.sleep(0.4)
            network.isolate(1)
            await asyncio.sleep(0.5)
            assert group.replicas[1].status().role == "follower"
        finally:
            disk.goes_on.set()
            network.heal()

        assert await group.equal() == [b"it cannot write this"]


async def test_a_single_member_waits_for_its_disk(tmp_path: Path) -> None:
    disk = HangingDisk()
    async with memory_group(tmp_path, size=1) as (group, _), TaskSet("test") as tasks:
        await group.stop()
        group.disks[1] = disk
        await group.start()
        await group.leader()
        term = group.replicas[1].status().term
        disk.goes_on.clear()
        proposal = tasks.spawn(group.replicas[1].propose(b"late"), name="late")
        await asyncio.sleep(0.5)
        disk.goes_on.set()

        assert await proposal == (1, b"late")
        assert group.replicas[1].status().term == term
