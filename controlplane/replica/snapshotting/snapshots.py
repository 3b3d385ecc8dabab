"""Snapshots of one replica: how to make one, how to send one. `received_snapshots` takes one.

Files are written and read by a worker of their own, so that the log's syncs do not wait for them;
the state machine's state is drawn from a piece at a time, and the event loop runs in between.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.replica.state_machine import StateMachine
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import DataDir
from podling.controlplane.wal.disk import Disk, Worker
from podling.controlplane.wal.snapshot_file import SnapshotPart

log = logging.getLogger(__name__)

T = TypeVar("T")


class StoredSnapshot:
    """A snapshot file on this member's disk; implements `transport.SnapshotFile`."""

    def __init__(self, disk: Disk, worker: Worker, path: Path) -> None:
        self._disk = disk
        self._worker = worker
        self._path = path
        self._loop = asyncio.get_running_loop()

    async def size(self) -> int:
        return await run_job(self._worker, lambda: self._disk.size(self._path), self._loop)

    async def read(self, offset: int) -> AsyncIterator[bytes]:
        chunks = self._disk.read_chunks(self._path, snapshot_file.READ_BYTES, offset)
        while data := await run_job(self._worker, lambda: next(chunks, b""), self._loop):
            yield data


class Saved(NamedTuple):
    """What is known of a snapshot when it has been saved."""

    size: int
    """Bytes of its file."""
    older: int
    """The entry up to which older snapshots reach: where the log must still begin."""


class Snapshots:
    """The snapshot files in one data directory, and who is at work on them."""

    def __init__(self, data_dir: DataDir, worker: Worker) -> None:
        self._data_dir = data_dir
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self.saving = False
        """Whether whoever calls `save` is at it."""

    async def save(self, snapshot: SnapshotMeta, state_machine: StateMachine) -> Saved:
        """Write the state as of now, and remove old files. Raises OSError.

        Its own file may be among them, if a leader has sent two newer ones meanwhile.
        """
        cluster_id = self._data_dir.identity.cluster_id
        pieces = snapshot_file.encode(cluster_id, snapshot, _begun(state_machine.snapshot()))
        part = self._part(snapshot)
        try:
            for data in pieces:
                await self._run(lambda data=data: part.write(data))  # type: ignore[misc]
            await self._run(lambda: part.finish(cluster_id))
        except BaseException:
            await self._run(part.abandon)
            raise
        log.info("saved a snapshot at entry %d", snapshot.index)
        return Saved(part.size, await self.remove_old())

    async def remove_old(self) -> int:
        """Keep the newest two; return the entry up to which the older one reaches."""
        return await self._run(self._data_dir.remove_old_snapshots)

    def file(self, snapshot: SnapshotMeta) -> "StoredSnapshot":
        """The snapshot's file, to be sent."""
        return StoredSnapshot(self._data_dir.disk, self._worker, self.path(snapshot))

    def size(self, snapshot: SnapshotMeta) -> int:
        """Bytes of its file; 0 for the beginning, which has none."""
        return self._data_dir.disk.size(self.path(snapshot)) if snapshot.index else 0

    def path(self, snapshot: SnapshotMeta) -> Path:
        return snapshot_file.path_of(self._data_dir.snapshots_path, snapshot)

    def _part(self, snapshot: SnapshotMeta) -> SnapshotPart:
        return SnapshotPart(self._data_dir.disk, self._data_dir.snapshots_path, snapshot)

    async def _run(self, job: Callable[[], T]) -> T:
        return await run_job(self._worker, job, self._loop)


def _begun(state: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, the first of them drawn now: a generator does nothing before that."""
    first = list(islice(state, 1))
    return chain(first, state)


async def run_job(worker: Worker, job: Callable[[], T], loop: asyncio.AbstractEventLoop) -> T:
    """Run `job` on the worker and wait for its result; raises what it raises."""
    done: asyncio.Future[None] = loop.create_future()
    results: list[T] = []

    def settle(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def done_elsewhere(error: BaseException | None) -> None:
        loop.call_soon_threadsafe(settle, error)

    worker.submit(lambda: results.append(job()), done_elsewhere)
    # A job that has begun cannot be called back: whoever is cancelled still waits for it.
    await asyncio.shield(done)
    return results[0]
