"""A member's life on a disk that fails at every point of it, once each.

Whatever is done when the power goes, the process is killed, a sync fails or the disk is full: a
start finds what was acknowledged, and of what was under way all or nothing. Then it goes on.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from podling.controlplane.raft.messages import Entry, EntryKind, HardState, SnapshotMeta
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.storage import StoredState, first_start
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import DataDir
from podling.controlplane.wal.log_writer import LogWriter
from podling.controlplane.wal.segments import Identity
from podling.controlplane.wal.snapshot_file import SnapshotPart
from podling.simulate.disk import MemoryDisk, PowerLost

ME = Identity(0xC1, 0xA)
PATH = Path("/member")
MEMBERS = Configuration(frozenset({1, 2, 3}))
FIRST = first_start(MEMBERS)
SEGMENT_BYTES = 4096
SEEDS = range(6)

#: One thing that a member asks of its disk.
Operation = Callable[[DataDir, LogWriter], None]


def entries(first: int, last: int, term: int) -> list[Entry]:
    return [
        Entry(index, term, EntryKind.COMMAND, b"%d." % index * 200)
        for index in range(first, last + 1)
    ]


def append(term: int, commit: int, first: int, last: int) -> Operation:
    state = HardState(term, 1, commit)
    return lambda _, writer: writer.append(state, entries(first, last, term))()


def snapshot(index: int, term: int) -> Operation:
    """Made here, or received."""

    def save(data_dir: DataDir, _: LogWriter) -> None:
        meta = SnapshotMeta(index, term, MEMBERS)
        part = SnapshotPart(data_dir.disk, data_dir.snapshots_path, meta)
        for data in snapshot_file.encode(ME.cluster_id, meta, [b"state" * 300, b"%d" % index]):
            part.write(data)
        part.finish(ME.cluster_id)

    return save


def take_over(index: int, term: int) -> Operation:
    return lambda _, writer: writer.reset(HardState(term, 0, index), index)()


def forget(data_dir: DataDir, writer: LogWriter) -> None:
    """Remove the snapshots and the part of the log that are not needed any more."""
    writer.remove_before(data_dir.remove_old_snapshots() + 1)()


LIFE: list[Operation] = [
    append(1, 0, 1, 3),
    append(1, 3, 4, 9),
    append(2, 3, 7, 8),
    append(2, 8, 9, 20),
    snapshot(5, 1),
    append(2, 12, 21, 22),
    snapshot(12, 2),
    forget,
    append(2, 22, 23, 23),
    snapshot(40, 3),
    take_over(40, 3),
    append(3, 41, 41, 44),
    forget,
    append(4, 44, 45, 46),
]


def live(disk: MemoryDisk, operations: list[Operation]) -> Iterator[int]:
    """Do them one after another, and tell how many are done."""
    data_dir = DataDir.open(disk, PATH, ME, SEGMENT_BYTES)
    writer = data_dir.recover(FIRST).writer
    writer.open()()
    for done, operation in enumerate(operations):
        yield done
        operation(data_dir, writer)
    writer.close()()
    data_dir.close()
    yield len(operations)


def start(disk: MemoryDisk) -> StoredState:
    """What a start finds, before it writes anything."""
    data_dir = DataDir.open(disk, PATH, ME, SEGMENT_BYTES)
    try:
        return data_dir.recover(FIRST).stored
    finally:
        data_dir.close()


def go_on(disk: MemoryDisk) -> StoredState:
    """Start, write one more batch, and return what there is now."""
    data_dir = DataDir.open(disk, PATH, ME, SEGMENT_BYTES)
    recovered = data_dir.recover(FIRST)
    recovered.writer.open()()
    last = last_index(recovered.stored)
    added = entries(last + 1, last + 2, 9)
    recovered.writer.append(HardState(9, 2, last), added)()
    recovered.writer.close()()
    data_dir.close()
    stored = recovered.stored
    return StoredState(stored.snapshot, HardState(9, 2, last), (*stored.entries, *added))


def last_index(stored: StoredState) -> int:
    return stored.entries[-1].index if stored.entries else stored.snapshot.index


def is_state(found: StoredState, expected: StoredState) -> bool:
    """Equal, or with more of the log's older part, which is not removed in one step."""
    kept = len(found.entries) - len(expected.entries)
    same = (found.snapshot, found.hard_state) == (expected.snapshot, expected.hard_state)
    return same and kept >= 0 and found.entries[kept:] == expected.entries


def new_disk(seed: int = 0) -> MemoryDisk:
    return MemoryDisk(random.Random(seed))


@pytest.fixture(scope="module")
def states() -> list[StoredState]:
    """What a start finds after each operation, if nothing fails."""
    found = []
    for count in range(len(LIFE) + 1):
        disk = new_disk()
        assert list(live(disk, LIFE[:count]))[-1] == count
        found.append(start(disk))
    return found


def live_until(disk: MemoryDisk, failure: type[BaseException]) -> int | None:
    """Live until it fails; return how many operations were done, None if all were."""
    done = 0
    try:
        for count in live(disk, LIFE):
            done = count
    except failure:
        return done
    return None


def check_acknowledged(found: StoredState, states: list[StoredState], done: int) -> None:
    """What was found is there after so many operations, or one more."""
    around = states[done : done + 2]
    if not any(is_state(found, expected) for expected in around):
        pytest.fail(f"after {done}: {describe(found)}, none of {list(map(describe, around))}")


def describe(stored: StoredState) -> str:
    log = [(entry.index, entry.term) for entry in stored.entries]
    return f"{stored.hard_state} snapshot {stored.snapshot.index}, log {log}"


def check(disk: MemoryDisk, states: list[StoredState], done: int) -> None:
    """A start finds what was acknowledged, and goes on; nothing of that is lost later."""
    check_acknowledged(start(disk), states, done)
    written = go_on(disk)
    disk.crash()
    assert is_state(start(disk), written)


@pytest.mark.parametrize("end", [MemoryDisk.crash, MemoryDisk.kill], ids=["power lost", "killed"])
@pytest.mark.parametrize("seed", SEEDS)
def test_it_ends_at_any_step(
    states: list[StoredState], end: Callable[[MemoryDisk], None], seed: int
) -> None:
    steps = 0
    while True:
        disk = new_disk(seed)
        disk.cut_after(steps)
        done = live_until(disk, PowerLost)
        if done is None:
            break
        end(disk)
        # The next start does not come far either.
        disk.cut_after(steps % 7)
        with pytest.raises(PowerLost):
            go_on(disk)
        end(disk)
        check(disk, states, done)
        steps += 1
    assert steps > 80


@pytest.mark.parametrize("seed", SEEDS)
def test_any_sync_fails(states: list[StoredState], seed: int) -> None:
    class FailingDisk(MemoryDisk):
        syncs = 0

        def sync_step(self, life: int | None = None) -> None:
            self.syncs += 1
            self.failing_syncs = int(self.syncs == failing)
            super().sync_step(life)

    failing = 0
    while True:
        failing += 1
        disk = FailingDisk(random.Random(seed))
        done = live_until(disk, OSError)
        if done is None:
            break
        disk.kill()
        # What is read now may be in the page cache only. Whoever relies on it writes it again.
        check_acknowledged(start(disk), states, done)
        written = go_on(disk)
        disk.crash()
        assert is_state(start(disk), written)
    assert failing > 30


def test_the_disk_is_full_at_any_size(states: list[StoredState]) -> None:
    capacity = 400
    while True:
        disk = new_disk()
        disk.capacity = capacity
        done = live_until(disk, OSError)
        if done is None:
            break
        disk.kill()
        if done:
            # Everything is there while the disk is still full.
            check_acknowledged(start(disk), states, done)
        disk.capacity = None
        check(disk, states, done)
        capacity += 700
    assert capacity > 10_000


@pytest.mark.parametrize("steps", range(1, 8))
def test_the_power_goes_while_several_segments_are_removed(steps: int) -> None:
    """What a directory forgets in a power loss need not be what was removed last."""
    for seed in range(20):
        disk = new_disk(seed)
        data_dir = DataDir.open(disk, PATH, ME, segment_bytes=1)
        writer = data_dir.recover(FIRST).writer
        writer.open()()
        for index in range(1, 6):
            append(1, index, index, index)(data_dir, writer)
        snapshot(4, 1)(data_dir, writer)
        disk.cut_after(steps)
        with suppress(PowerLost):
            writer.remove_before(5)()
        disk.crash()

        assert last_index(start(disk)) == 5


def test_a_writer_that_failed_writes_no_more() -> None:
    disk = new_disk()
    data_dir = DataDir.open(disk, PATH, ME, SEGMENT_BYTES)
    writer = data_dir.recover(FIRST).writer
    writer.open()()
    writer.append(HardState(1), entries(1, 1, 1))()
    disk.failing_syncs = 1
    with pytest.raises(OSError, match="Input/output error"):
        writer.append(HardState(1), entries(2, 2, 1))()
    steps = disk.steps
    for job in (
        writer.append(HardState(1), entries(3, 3, 1)),
        writer.reset(HardState(1), 9),
        writer.remove_before(9),
    ):
        with pytest.raises(OSError, match=r"not written to since .* Input/output error"):
            job()

    assert disk.steps == steps
    writer.close()()
