"""Files that leaders stream: what is kept of a stream that broke, and what is not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.replica.snapshotting.received_snapshots import ReceivedSnapshots
from podling.controlplane.replica.transport import SnapshotRefused
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import DataDir
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.segments import Identity
from tests.controlplane.replica.ledger import Ledger

SNAPSHOT = SnapshotMeta(90, 4, Configuration(frozenset({1, 2, 3})))
COMMANDS = [bytes([ord("a") + number]) * 996 for number in range(20)]
STATE = [json.dumps([command.decode()]).encode() for command in COMMANDS]
FILE = b"".join(snapshot_file.encode(0xC1, SNAPSHOT, STATE))


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir.open(OsDisk(), tmp_path / "member", Identity(0xC1, 1))


@pytest.fixture
async def received(data_dir: DataDir) -> AsyncIterator[ReceivedSnapshots]:
    worker = data_dir.disk.start_worker("test")
    yield ReceivedSnapshots(data_dir, worker, Ledger())
    worker.close()
    data_dir.close()


class Broken(Exception):
    """The stream broke."""


async def stream(data: bytes, *, breaks: bool = False) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 700):
        yield data[start : start + 700]
    if breaks:
        raise Broken


def files(data_dir: DataDir) -> Sequence[str]:
    return data_dir.disk.list_files(data_dir.snapshots_path)


def state(data_dir: DataDir) -> list[bytes]:
    path = snapshot_file.path_of(data_dir.snapshots_path, SNAPSHOT)
    return list(snapshot_file.read_state(data_dir.disk, path, 0xC1))


async def test_a_stream_that_broke_is_gone_on_with(
    received: ReceivedSnapshots, data_dir: DataDir
) -> None:
    with pytest.raises(Broken):
        await received.receive(SNAPSHOT, 0, len(FILE), stream(FILE[:8000], breaks=True))
    with pytest.raises(SnapshotRefused, match=f"ended at byte 12000 of {len(FILE)}"):
        await received.receive(SNAPSHOT, 8000, len(FILE), stream(FILE[8000:12000]))
    kept = await received.kept(SNAPSHOT, len(FILE))
    await received.receive(SNAPSHOT, kept, len(FILE), stream(FILE[kept:]))

    assert kept == 12000
    assert state(data_dir) == STATE
    assert await received.kept(SNAPSHOT, len(FILE)) == 0


@pytest.mark.parametrize(
    ("snapshot", "size"),
    [
        (replace(SNAPSHOT, index=91), len(FILE)),
        (replace(SNAPSHOT, term=5), len(FILE)),
        (SNAPSHOT, len(FILE) + 1),
        (SNAPSHOT, 0),
    ],
    ids=["index", "term", "size", "size not said"],
)
async def test_nothing_is_kept_of_another_file(
    received: ReceivedSnapshots, data_dir: DataDir, snapshot: SnapshotMeta, size: int
) -> None:
    with pytest.raises(Broken):
        await received.receive(snapshot, 0, size, stream(FILE[:8000], breaks=True))

    assert await received.kept(SNAPSHOT, len(FILE)) == 0
    with pytest.raises(SnapshotRefused, match="nothing that ends at byte 8000"):
        await received.receive(SNAPSHOT, 8000, len(FILE), stream(FILE[8000:]))
    await received.receive(SNAPSHOT, 0, len(FILE), stream(FILE))
    assert state(data_dir) == STATE
    assert len(files(data_dir)) == 1


async def test_parts_that_do_not_fit_together_are_refused_and_forgotten(
    received: ReceivedSnapshots, data_dir: DataDir
) -> None:
    other = b"".join(snapshot_file.encode(0xC1, SNAPSHOT, reversed(STATE)))
    assert len(other) == len(FILE)
    with pytest.raises(Broken):
        await received.receive(SNAPSHOT, 0, len(FILE), stream(other[:8000], breaks=True))
    with pytest.raises(SnapshotRefused, match="checksum"):
        await received.receive(SNAPSHOT, 8000, len(FILE), stream(FILE[8000:]))

    assert files(data_dir) == []
    assert await received.kept(SNAPSHOT, len(FILE)) == 0


async def test_a_new_stream_takes_over_from_one_that_hangs(
    received: ReceivedSnapshots, data_dir: DataDir
) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        yield FILE[:8000]
        begun.set()
        await goes_on.wait()
        yield b"too late"

    async with TaskSet("test") as tasks:
        work = received.receive(SNAPSHOT, 0, len(FILE), hanging())
        outcome = tasks.spawn(_refusal(work), name="hanging")
        await begun.wait()
        kept = await received.kept(SNAPSHOT, len(FILE))
        goes_on.set()
        await received.receive(SNAPSHOT, kept, len(FILE), stream(FILE[kept:]))

        assert await outcome == "it is sent on another stream now"
    assert state(data_dir) == STATE


async def test_what_is_not_finished_is_removed_at_the_end(
    received: ReceivedSnapshots, data_dir: DataDir
) -> None:
    with pytest.raises(Broken):
        await received.receive(SNAPSHOT, 0, len(FILE), stream(FILE[:8000], breaks=True))
    assert len(files(data_dir)) == 1
    await received.forget()

    assert files(data_dir) == []


async def _refusal(work: Awaitable[None]) -> str:
    try:
        await work
    except SnapshotRefused as error:
        return str(error)
    return ""


async def test_what_has_come_is_loaded_before_it_is_taken(
    received: ReceivedSnapshots, data_dir: DataDir
) -> None:
    await received.receive(SNAPSHOT, 0, len(FILE), stream(FILE))
    data_dir.disk.remove(snapshot_file.path_of(data_dir.snapshots_path, SNAPSHOT))

    assert received.loaded(SNAPSHOT) == COMMANDS
    with pytest.raises(FileNotFoundError):
        received.loaded(SNAPSHOT)


async def test_a_state_that_cannot_be_read_is_refused_and_no_start_chooses_it(
    received: ReceivedSnapshots, data_dir: DataDir
) -> None:
    file = b"".join(snapshot_file.encode(0xC1, SNAPSHOT, [b"no JSON"]))
    with pytest.raises(SnapshotRefused):
        await received.receive(SNAPSHOT, 0, len(file), stream(file))

    assert files(data_dir) == []


async def test_the_member_may_be_saving_the_same_snapshot_itself(
    received: ReceivedSnapshots, data_dir: DataDir
) -> None:
    own = snapshot_file.SnapshotPart(data_dir.disk, data_dir.snapshots_path, SNAPSHOT)
    own.write(FILE[:5000])
    with pytest.raises(SnapshotRefused, match="ended at byte 7000"):
        await received.receive(SNAPSHOT, 0, len(FILE), stream(FILE[:7000]))
    own.write(FILE[5000:])
    await received.receive(SNAPSHOT, 7000, len(FILE), stream(FILE[7000:]))
    own.finish(0xC1)

    assert state(data_dir) == STATE
    assert files(data_dir) == [snapshot_file.path_of(data_dir.snapshots_path, SNAPSHOT).name]
