"""What the disk in memory loses, and what it may not lose."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from podling.simulate.disk import MemoryDisk, PowerLost
from podling.simulate.disk_content import SECTOR
from podling.simulate.network import Delay
from tests.contract.disk import DiskContract

ROOT = Path("/data")
FILE = ROOT / "file"


def new_disk(seed: int = 1) -> MemoryDisk:
    disk = MemoryDisk(random.Random(seed))
    disk.make_directory(ROOT)
    return disk


class TestMemoryDisk(DiskContract):
    @pytest.fixture
    def disk(self) -> MemoryDisk:
        return new_disk()

    @pytest.fixture
    def root(self) -> Path:
        return ROOT


def outcomes(write: Callable[[MemoryDisk], None]) -> set[bytes | None]:
    """What FILE may hold after a power loss, in many universes; None: it is not there."""
    found = set()
    for seed in range(200):
        disk = new_disk(seed)
        write(disk)
        disk.crash()
        found.add(disk.read(FILE) if disk.exists(FILE) else None)
    return found


def create(disk: MemoryDisk, data: bytes) -> None:
    """FILE is there durably, with `data`."""
    file = disk.open(FILE)
    file.write(0, data, sync=True)
    file.close()
    disk.sync_directory(ROOT)


def test_what_is_synced_survives() -> None:
    assert outcomes(lambda disk: create(disk, b"safe")) == {b"safe"}


def test_what_is_not_synced_is_lost_or_torn() -> None:
    def write(disk: MemoryDisk) -> None:
        create(disk, b"")
        disk.open(FILE).write(0, b"a" * SECTOR + b"b" * SECTOR, sync=False)

    a, b, zeros = b"a" * SECTOR, b"b" * SECTOR, bytes(SECTOR)
    assert {b"", a, a + b, zeros + b, zeros + zeros} <= outcomes(write)


def test_a_synced_write_says_nothing_of_what_was_written_before() -> None:
    def write(disk: MemoryDisk) -> None:
        create(disk, bytes(2 * SECTOR))
        file = disk.open(FILE)
        file.write(0, b"a" * SECTOR, sync=False)
        file.write(SECTOR, b"b" * SECTOR, sync=True)

    a, b, zeros = b"a" * SECTOR, b"b" * SECTOR, bytes(SECTOR)
    assert outcomes(write) == {a + b, zeros + b}


def test_a_new_file_may_be_gone_until_its_directory_is_synced() -> None:
    def write(disk: MemoryDisk) -> None:
        disk.open(FILE).write(0, b"data", sync=True)

    assert outcomes(write) == {b"data", None}


def test_a_removed_file_may_come_back() -> None:
    def write(disk: MemoryDisk) -> None:
        create(disk, b"data")
        disk.remove(FILE)

    assert outcomes(write) == {b"data", None}


def test_a_rename_is_all_or_nothing() -> None:
    def write(disk: MemoryDisk) -> None:
        create(disk, b"old")
        part = ROOT / "part"
        disk.open(part).write(0, b"new", sync=True)
        disk.sync_directory(ROOT)
        disk.cut_after(1)
        with pytest.raises(PowerLost):
            disk.rename(part, FILE)

    assert outcomes(write) == {b"old", b"new"}


def test_a_failed_sync_is_not_made_good_by_the_next() -> None:
    def write(disk: MemoryDisk) -> None:
        create(disk, bytes(4))
        file = disk.open(FILE)
        disk.failing_syncs = 1
        with pytest.raises(OSError, match="Input/output error"):
            file.write(0, b"lost", sync=True)
        file.sync()
        assert disk.read(FILE) == b"lost"

    assert outcomes(write) == {bytes(4), b"lost"}


def test_a_disk_that_only_says_that_it_synced() -> None:
    def write(disk: MemoryDisk) -> None:
        create(disk, bytes(4))
        disk.ignores_syncs = True
        disk.open(FILE).write(0, b"lost", sync=True)

    assert outcomes(write) == {bytes(4), b"lost"}


def test_a_killed_process_leaves_what_it_wrote_and_locks_nothing() -> None:
    disk = new_disk()
    disk.lock(ROOT / "lock")
    file = disk.open(FILE)
    file.write(0, b"written", sync=False)
    disk.kill()

    assert disk.read(FILE) == b"written"
    disk.lock(ROOT / "lock").release()
    with pytest.raises(PowerLost):
        file.write(0, b"ghost", sync=False)


def test_a_full_disk_takes_what_fits_and_can_be_written_in_place() -> None:
    disk = new_disk()
    create(disk, b"1234")
    disk.capacity = 6
    file = disk.open(FILE)
    file.write(0, b"abcd", sync=True)
    with pytest.raises(OSError, match="No space left"):
        file.write(2, b"......", sync=True)

    assert disk.read(FILE) == b"ab...."
    disk.capacity = 8
    file.write(2, b"......", sync=True)


def test_a_flipped_bit_is_on_the_disk() -> None:
    disk = new_disk()
    create(disk, b"1234")
    offset = disk.flip_bit(FILE)
    disk.crash()

    assert [at for at, byte in enumerate(disk.read(FILE)) if byte != b"1234"[at]] == [offset]


def test_a_flipped_bit_is_gone_when_something_is_written_there_or_it_is_mended() -> None:
    disk = new_disk()
    create(disk, b"1234")
    disk.flip_bit(FILE, 1)
    disk.open(FILE).write(1, b"x", sync=True)
    assert (disk.read(FILE), disk.is_damaged) == (b"1x34", False)

    disk.flip_any_bit()
    assert disk.is_damaged
    disk.mend()

    assert (disk.read(FILE), disk.is_damaged) == (b"1x34", False)


async def test_a_job_under_way_when_the_process_dies_got_somewhere_or_nowhere() -> None:
    found = set()
    for seed in range(100):
        disk = new_disk(seed)
        disk.latency = Delay(1.0, 2.0)
        create(disk, b"old")
        file = disk.open(FILE)
        done: list[BaseException | None] = []
        worker = disk.start_worker("log")
        worker.submit(lambda file=file: file.write(0, b"new", sync=True), done.append)  # type: ignore[misc]
        worker.submit(lambda file=file: file.write(0, b"two", sync=True), done.append)  # type: ignore[misc]
        disk.crash()
        worker.submit(lambda file=file: file.write(0, b"bad", sync=True), done.append)  # type: ignore[misc]
        worker.close()
        await asyncio.sleep(0)
        assert done == []
        found.add(disk.read(FILE))

    assert found == {b"old", b"new"}


async def test_what_a_job_raises_when_the_process_dies_is_told_to_nobody() -> None:
    ran = 0

    def fail() -> None:
        nonlocal ran
        ran += 1
        raise ValueError

    for seed in range(20):
        disk = new_disk(seed)
        disk.start_worker("log").submit(fail, lambda error: None)
        disk.crash()

    assert 0 < ran < 20


def test_a_seed_loses_the_same_again() -> None:
    def lose(seed: int) -> bytes:
        disk = new_disk(seed)
        create(disk, b"")
        disk.open(FILE).write(0, bytes(range(1, 256)) * 100, sync=False)
        disk.crash()
        return disk.read(FILE)

    assert [lose(seed) for seed in range(20)] == [lose(seed) for seed in range(20)]
    assert len({lose(seed) for seed in range(20)}) > 5
