"""Group commit on a disk that finishes when the test says so."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from podling.controlplane.raft.messages import Entry, EntryKind, HardState, SnapshotMeta
from podling.controlplane.raft.rawnode import Ready
from podling.controlplane.raft.state import Role
from podling.controlplane.replica.persister import Persister
from podling.controlplane.wal.disk import OnDone, OsDisk
from podling.controlplane.wal.log_reader import LogContents, read_log
from podling.controlplane.wal.log_writer import LogWriter
from podling.controlplane.wal.segments import Identity

ME = Identity(1, 1)


class SlowWorker:
    """Implements `disk.Worker`: jobs run one by one, when told to."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], None], OnDone]] = []

    def submit(self, job: Callable[[], None], done: OnDone) -> None:
        self.jobs.append((job, done))

    def run_one(self, error: BaseException | None = None) -> None:
        job, done = self.jobs.pop(0)
        if error is None:
            job()
        done(error)

    def close(self) -> None: ...


def ready(
    number: int, *indexes: int, term: int = 1, snapshot: int = 0, state: bool = True
) -> Ready:
    entries = tuple(Entry(index, term, EntryKind.COMMAND, b"x") for index in indexes)
    return Ready(
        number,
        Role.FOLLOWER,
        term,
        2,
        HardState(term, 2, 0) if state else None,
        SnapshotMeta(snapshot, term) if snapshot else None,
        entries,
        messages=(),
        messages_after_persist=(),
        committed=(),
        reads=(),
        refused=(),
        configuration=None,
    )


class Bench:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.worker = SlowWorker()
        self.written: list[int] = []
        self.failures: list[BaseException] = []
        writer = LogWriter(OsDisk(), path, read_log(OsDisk(), path, ME))
        writer.open()()
        self.writer = writer
        self.persister = Persister(writer, self.worker, self._note, self.failures.append)

    def _note(self, readies: Sequence[Ready]) -> None:
        self.written += [each.number for each in readies]

    async def finish_one(self, error: BaseException | None = None) -> None:
        self.worker.run_one(error)
        await asyncio.sleep(0)

    def read(self) -> LogContents:
        self.writer.close()()
        return read_log(OsDisk(), self.path, ME)


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_what_comes_during_a_write_goes_into_the_next(bench: Bench) -> None:
    for number in range(1, 5):
        bench.persister.add(ready(number, number))
    assert len(bench.worker.jobs) == 1
    await bench.finish_one()
    assert bench.written == [1]
    assert len(bench.worker.jobs) == 1
    await bench.finish_one()

    assert bench.written == [1, 2, 3, 4]
    assert bench.persister.idle
    assert [entry.index for entry in bench.read().entries] == [1, 2, 3, 4]


async def test_nothing_to_write_waits_for_what_was_before(bench: Bench) -> None:
    bench.persister.add(ready(1, state=False))
    assert bench.written == [1]
    bench.persister.add(ready(2, 1))
    bench.persister.add(ready(3, state=False))
    assert bench.written == [1]
    await bench.finish_one()

    assert bench.written == [1, 2, 3]


async def test_entries_overwritten_before_they_were_written(bench: Bench) -> None:
    bench.persister.add(ready(1, 1, 2))
    bench.persister.add(ready(2, 3, 4, 5))
    bench.persister.add(ready(3, 4, term=2))
    await bench.finish_one()
    await bench.finish_one()

    found = [(entry.index, entry.term) for entry in bench.read().entries]
    assert found == [(1, 1), (2, 1), (3, 1), (4, 2)]


async def test_a_snapshot_voids_what_was_held(bench: Bench) -> None:
    bench.persister.add(ready(1, 1, 2))
    bench.persister.add(ready(2, 3))
    bench.persister.add(ready(3, 101, term=2, snapshot=100))
    await bench.finish_one()
    await bench.finish_one()

    contents = bench.read()
    assert [entry.index for entry in contents.entries] == [101]
    assert contents.hard_state.term == 2


async def test_a_disk_that_fails_is_told_once_and_written_to_no_more(bench: Bench) -> None:
    bench.persister.add(ready(1, 1))
    bench.persister.add(ready(2, 2))
    await bench.finish_one(OSError("no fsync"))
    bench.persister.add(ready(3, 3))
    bench.persister.run(lambda: None)
    await bench.finish_one(OSError("again"))

    assert [str(error) for error in bench.failures] == ["no fsync"]
    assert bench.written == []
    assert bench.worker.jobs == []
