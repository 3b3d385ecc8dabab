"""A disk that fails in the middle: the replica ends, the others go on, nothing is acknowledged."""

import contextlib
from pathlib import Path

import pytest

from podling.controlplane.replica.errors import ReplicaError
from podling.controlplane.wal.disk import File, OsDisk
from tests.controlplane.replica.group import QUICK_ELECTIONS, memory_group
from tests.waiting import until


class FailingFile:
    """A file that can be written until the disk says otherwise."""

    def __init__(self, file: File, disk: "FailingDisk") -> None:
        self._file = file
        self._disk = disk

    def write(self, offset: int, data: bytes, *, sync: bool) -> None:
        if self._disk.broken:
            raise OSError(5, "Input/output error")
        self._file.write(offset, data, sync=sync)

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.close()


class FailingDisk(OsDisk):
    broken = False

    def open(self, path: Path) -> File:
        return FailingFile(super().open(path), self)


async def test_an_fsync_error_ends_the_replica_and_is_not_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with memory_group(tmp_path, **QUICK_ELECTIONS) as (group, _):
        await group.stop()
        group.disks[1] = disk = FailingDisk()
        await group.start()
        await group.leader()
        await group.replicas[1].transfer_leadership(1)
        await group.replicas[1].propose(b"before")
        disk.broken = True
        # Two others may commit it before the disk has answered; the next one cannot be.
        with contextlib.suppress(ReplicaError):
            await group.replicas[1].propose(b"during")
        await until(lambda: bool(group.failures), "the failure is reported")
        with pytest.raises(ReplicaError):
            await group.replicas[1].propose(b"next")
        assert group.failures[0][0] == "replica-1"
        assert "Input/output error" in caplog.text
        await group.replicas.pop(1).stop()

        await group.replicas[2].propose(b"after")
        ledger = await group.equal()
        assert ledger[0] == b"before"
        assert ledger[-1] == b"after"
