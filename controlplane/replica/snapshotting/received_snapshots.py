"""Snapshots that leaders stream to this replica.

What came of a stream that broke is kept, and the next one goes on from there, if it is of the same
file: the same entry, term and size. That the parts fit together is seen at the end, when the whole
file is checked. Nothing is kept over a restart: what was not synced may be gone from the middle of
a file, and the start removes it.

What has come is loaded by the worker too: a large state takes seconds, in which this replica goes
on voting and answering.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.replica.snapshotting.snapshots import run_job
from podling.controlplane.replica.state_machine import StateMachine
from podling.controlplane.replica.transport import SnapshotRefused
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import DataDir
from podling.controlplane.wal.disk import Worker
from podling.controlplane.wal.errors import DataDirectoryError
from podling.controlplane.wal.snapshot_file import SnapshotPart

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(slots=True)
class _Partial:
    """A file of which not all has come yet."""

    snapshot: SnapshotMeta
    size: int
    """Of the whole file; 0 if the sender has not said it, and then no other stream goes on."""
    part: SnapshotPart

    def is_of(self, snapshot: SnapshotMeta, size: int) -> bool:
        return size > 0 and (self.snapshot, self.size) == (snapshot, size)


class ReceivedSnapshots:
    """At most one at a time; the newest stream counts."""

    def __init__(self, data_dir: DataDir, worker: Worker, state_machine: StateMachine) -> None:
        self._data_dir = data_dir
        self._worker = worker
        self._state_machine = state_machine
        self._loaded: tuple[SnapshotMeta, Any] | None = None
        self._loop = asyncio.get_running_loop()
        self._partial: _Partial | None = None
        self._stream = 0
        """Counts the streams: what comes on an earlier one is not listened to."""

    async def kept(self, snapshot: SnapshotMeta, size: int) -> int:
        """How many bytes of this file are here; whoever still sends it is cut off."""
        self._stream += 1
        return await self._kept_of(self._partial, snapshot, size)

    async def receive(
        self, snapshot: SnapshotMeta, offset: int, size: int, chunks: AsyncIterator[bytes]
    ) -> None:
        """Take a file from `offset` on; return when it is complete. Raises SnapshotRefused."""
        self._stream += 1
        stream = self._stream
        partial = await self._begin(snapshot, offset, size)
        if offset:
            log.info("the snapshot at entry %d goes on at byte %d", snapshot.index, offset)
        try:
            async for data in chunks:
                self._check_newest(stream)
                await self._run(lambda data=data: partial.part.write(data))  # type: ignore[misc]
            self._check_newest(stream)
            if partial.part.size < size:
                raise SnapshotRefused(f"the stream ended at byte {partial.part.size} of {size}")
            self._partial = None
            self._loaded = (snapshot, await self._run(lambda: self._finish(partial.part)))
        except (DataDirectoryError, OSError, ValueError) as error:
            self._partial = None
            await self._run(partial.part.abandon)
            raise SnapshotRefused(str(error)) from error
        log.info("received a snapshot at entry %d", snapshot.index)

    def loaded(self, snapshot: SnapshotMeta) -> Any:
        """The state of a snapshot that is on disk, for `StateMachine.take`.

        Raises Damaged, and ValueError if the state machine cannot read it.
        """
        loaded, self._loaded = self._loaded, None
        if loaded is not None and loaded[0] == snapshot:
            return loaded[1]
        return self._load(snapshot_file.path_of(self._data_dir.snapshots_path, snapshot))

    def drop_loaded(self) -> None:
        """The core had no use for it."""
        self._loaded = None

    async def forget(self) -> None:
        """Remove what is kept: nobody will go on with it."""
        partial, self._partial = self._partial, None
        self._stream += 1
        if partial is not None:
            await self._run(partial.part.abandon)

    async def _kept_of(self, partial: _Partial | None, snapshot: SnapshotMeta, size: int) -> int:
        if partial is None or not partial.is_of(snapshot, size):
            return 0
        # Behind what was handed to the worker before.
        return await self._run(lambda: partial.part.size)

    async def _begin(self, snapshot: SnapshotMeta, offset: int, size: int) -> _Partial:
        partial = self._partial
        if offset:
            if partial is not None and await self._kept_of(partial, snapshot, size) == offset:
                return partial
            raise SnapshotRefused(f"nothing that ends at byte {offset} is here to go on with")
        if partial is not None:
            await self._run(partial.part.abandon)
        directory = self._data_dir.snapshots_path
        part = SnapshotPart(self._data_dir.disk, directory, snapshot, received=True)
        self._partial = _Partial(snapshot, size, part)
        return self._partial

    def _finish(self, part: SnapshotPart) -> Any:
        """Job: build the state; nobody else has it yet.

        A file that is whole but means nothing to the state machine gets no name: the next start
        would choose it, and fail.
        """
        part.seal(self._data_dir.identity.cluster_id)
        state = self._load(part.path)
        part.name()
        return state

    def _load(self, path: Path) -> Any:
        data_dir = self._data_dir
        return self._state_machine.load(
            snapshot_file.read_state(data_dir.disk, path, data_dir.identity.cluster_id)
        )

    def _check_newest(self, stream: int) -> None:
        if stream != self._stream:
            raise SnapshotRefused("it is sent on another stream now")

    async def _run(self, job: Callable[[], T]) -> T:
        return await run_job(self._worker, job, self._loop)
