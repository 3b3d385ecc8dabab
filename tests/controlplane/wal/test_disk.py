import stat
import threading
from pathlib import Path

import pytest

from podling.controlplane.wal.disk import OsDisk
from tests.contract.disk import DiskContract


class TestOsDisk(DiskContract):
    @pytest.fixture
    def disk(self) -> OsDisk:
        return OsDisk()

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path


def test_jobs_run_in_a_thread_of_that_name() -> None:
    worker = OsDisk().start_worker("test-disk")
    names: list[str] = []
    worker.submit(lambda: names.append(threading.current_thread().name), lambda _: None)
    worker.close()

    assert names == ["test-disk"]


def test_directories_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    disk = OsDisk()
    disk.make_directory(tmp_path / "one" / "two")
    disk.open(tmp_path / "one" / "two" / "file").close()

    assert stat.S_IMODE((tmp_path / "one" / "two").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "one" / "two" / "file").stat().st_mode) == 0o600


def test_durable_writes_are_told_with_their_time(tmp_path: Path) -> None:
    told: list[float] = []
    file = OsDisk(told.append).open(tmp_path / "file")
    file.write(0, b"no", sync=False)
    file.write(2, b"yes", sync=True)
    file.close()

    assert len(told) == 1
    assert told[0] > 0
