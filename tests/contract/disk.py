"""What every `Disk` does for the log as long as nothing fails.

Derive from `DiskContract` and supply the fixtures `disk` and `root`, a directory of its own for
each test.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from podling.controlplane.wal.disk import Disk

PATIENCE = 30.0
"""Seconds until something that never comes is a failure."""


def write(disk: Disk, path: Path, data: bytes) -> None:
    file = disk.open(path)
    file.write(0, data, sync=True)
    file.close()


class DiskContract:
    def test_bytes_go_where_they_are_told(self, disk: Disk, root: Path) -> None:
        file = disk.open(root / "file")
        file.write(0, b"hello world", sync=False)
        file.write(6, b"disk!", sync=True)
        assert disk.read(root / "file") == b"hello disk!"
        file.truncate(8)
        file.sync()
        file.close()

        assert disk.read(root / "file") == b"hello di"

    def test_what_nobody_wrote_is_zeros(self, disk: Disk, root: Path) -> None:
        file = disk.open(root / "file")
        file.write(3, b"abc", sync=True)
        file.truncate(1)
        file.truncate(4)
        file.close()

        assert disk.read(root / "file") == bytes(4)

    def test_a_file_is_read_in_pieces(self, disk: Disk, root: Path) -> None:
        write(disk, root / "file", b"12345678")

        assert list(disk.read_chunks(root / "file", 3)) == [b"123", b"456", b"78"]
        assert list(disk.read_chunks(root / "file", 3, 4)) == [b"567", b"8"]
        assert list(disk.read_chunks(root / "file", 3, 8)) == []
        assert disk.size(root / "file") == 8

    def test_opening_keeps_what_is_there(self, disk: Disk, root: Path) -> None:
        write(disk, root / "file", b"before")
        file = disk.open(root / "file")
        file.write(6, b" and after", sync=True)
        file.close()

        assert disk.read(root / "file") == b"before and after"

    def test_an_open_file_keeps_its_bytes_when_it_is_renamed(self, disk: Disk, root: Path) -> None:
        file = disk.open(root / "one.part")
        file.write(0, b"1", sync=True)
        disk.rename(root / "one.part", root / "one")
        file.write(1, b"2", sync=True)
        file.close()

        assert disk.list_files(root) == ["one"]
        assert disk.read(root / "one") == b"12"

    def test_rename_replaces(self, disk: Disk, root: Path) -> None:
        write(disk, root / "a", b"new")
        write(disk, root / "b", b"old")
        disk.rename(root / "a", root / "b")

        assert disk.list_files(root) == ["b"]
        assert disk.read(root / "b") == b"new"

    def test_names_come_sorted(self, disk: Disk, root: Path) -> None:
        for name in ("c", "a", "b"):
            write(disk, root / name, b"")
        disk.remove(root / "b")
        disk.sync_directory(root)

        assert disk.list_files(root) == ["a", "c"]
        assert disk.exists(root / "a")
        assert not disk.exists(root / "b")

    def test_directories_are_made_with_their_parents(self, disk: Disk, root: Path) -> None:
        for _ in range(2):
            disk.make_directory(root / "one" / "two")

        assert disk.exists(root / "one" / "two")
        assert disk.list_files(root) == ["one"]
        assert disk.list_files(root / "one" / "two") == []

    @pytest.mark.parametrize(
        "missing",
        [
            lambda disk, path: disk.read(path),
            lambda disk, path: list(disk.read_chunks(path, 5)),
            lambda disk, path: disk.size(path),
            lambda disk, path: disk.remove(path),
            lambda disk, path: disk.rename(path, path.with_name("other")),
            lambda disk, path: disk.list_files(path),
            lambda disk, path: disk.sync_directory(path),
            lambda disk, path: disk.open(path / "file"),
        ],
        ids=[
            "read",
            "read_chunks",
            "size",
            "remove",
            "rename",
            "list_files",
            "sync_directory",
            "open",
        ],
    )
    def test_what_is_not_there_is_an_error(
        self, disk: Disk, root: Path, missing: Callable[[Disk, Path], object]
    ) -> None:
        with pytest.raises(FileNotFoundError):
            missing(disk, root / "missing")

    def test_a_lock_keeps_others_out_until_it_is_released(self, disk: Disk, root: Path) -> None:
        lock = disk.lock(root / "lock")
        with pytest.raises(BlockingIOError):
            disk.lock(root / "lock")
        lock.release()
        disk.lock(root / "lock").release()

    async def test_a_worker_runs_jobs_in_order_and_reports_each(self, disk: Disk) -> None:
        loop, finished = asyncio.get_running_loop(), asyncio.Event()
        happened: list[object] = []
        failure = OSError("disk is gone")

        def fail() -> None:
            raise failure

        worker = disk.start_worker("contract-disk")
        worker.submit(lambda: happened.append("one"), happened.append)
        worker.submit(fail, happened.append)
        worker.submit(
            lambda: happened.append("three"),
            lambda error: (happened.append(error), loop.call_soon_threadsafe(finished.set))[0],
        )
        async with asyncio.timeout(PATIENCE):
            await finished.wait()
        worker.close()

        assert happened == ["one", None, failure, "three", None]

    async def test_closing_a_worker_finishes_what_was_submitted(self, disk: Disk) -> None:
        happened: list[object] = []
        worker = disk.start_worker("contract-disk")
        for number in range(3):
            worker.submit(lambda number=number: happened.append(number), happened.append)  # type: ignore[misc]
        worker.close()
        worker.close()

        assert happened == [0, None, 1, None, 2, None]
