import threading
from pathlib import Path

import pytest

from podling.controlplane.wal.disk import OsDisk


def test_a_worker_runs_jobs_in_order_and_reports_each() -> None:
    worker = OsDisk().start_worker("test-disk")
    happened: list[object] = []
    failure = OSError("disk is gone")

    def fail() -> None:
        raise failure

    worker.submit(lambda: happened.append("one"), happened.append)
    worker.submit(fail, happened.append)
    worker.submit(lambda: happened.append(threading.current_thread().name), happened.append)
    worker.close()

    assert happened == ["one", None, failure, "test-disk", None]


def test_writes_go_where_they_are_told(tmp_path: Path) -> None:
    disk = OsDisk()
    file = disk.open(tmp_path / "file")
    file.write(0, b"hello world", sync=False)
    file.write(6, b"disk!", sync=True)
    file.truncate(8)
    file.close()

    assert disk.read(tmp_path / "file") == b"hello di"
    assert list(disk.read_chunks(tmp_path / "file", 3)) == [b"hel", b"lo ", b"di"]


def test_a_lock_keeps_others_out_until_it_is_released(tmp_path: Path) -> None:
    disk = OsDisk()
    lock = disk.lock(tmp_path / "lock")
    with pytest.raises(BlockingIOError):
        disk.lock(tmp_path / "lock")
    lock.release()
    disk.lock(tmp_path / "lock").release()


def test_rename_replaces(tmp_path: Path) -> None:
    disk = OsDisk()
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").write_text("old")
    disk.rename(tmp_path / "a", tmp_path / "b")

    assert disk.list_files(tmp_path) == ["b"]
    assert disk.read(tmp_path / "b") == b"new"
