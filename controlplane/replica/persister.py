"""Group commit: one write at a time, and everything that comes meanwhile in the next.

The disk syncs in a worker beside the event loop, so that a leader replicates while it writes and a
slow disk does not stall the loop. What may only be said when it is on disk is handed back in order.
"""

import asyncio
from collections.abc import Callable, Sequence

from podling.controlplane.raft.messages import Entry, HardState
from podling.controlplane.raft.rawnode import Ready
from podling.controlplane.wal.disk import Worker
from podling.controlplane.wal.log_writer import Job, LogWriter

#: Told the Readies that are on disk now, oldest first.
OnWritten = Callable[[Sequence[Ready]], None]
#: Told that the disk failed; nothing is written any more.
OnFailure = Callable[[BaseException], None]


class Persister:
    """Writes Readies to the log, in their order."""

    def __init__(
        self, writer: LogWriter, worker: Worker, on_written: OnWritten, on_failure: OnFailure
    ) -> None:
        self._writer = writer
        self._worker = worker
        self._on_written = on_written
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._held: list[Ready] = []
        self._busy = False
        self._began = 0.0
        """Event loop time at which the write under way was begun."""
        self._failed = False

    @property
    def idle(self) -> bool:
        """Whether everything that was added is on disk."""
        return not self._busy and not self._held

    def waiting(self, now: float) -> float:
        """How many seconds the write under way has taken so far; 0 if there is none."""
        return now - self._began if self._busy else 0.0

    def add(self, ready: Ready) -> None:
        """Write what `ready` wants written, behind all that was added before."""
        self._held.append(ready)
        if not self._busy:
            self._begin()

    def run(self, job: Job) -> None:
        """Run another job of the log's writer, behind the writes begun so far."""
        self._worker.submit(job, lambda error: self._call(self._job_done, error))

    def _begin(self) -> None:
        if self._failed:
            return
        batch, self._held = self._held, []
        job = self._job(batch)
        if job is None:
            self._on_written(batch)
            return
        self._busy = True
        self._began = self._loop.time()
        self._worker.submit(job, lambda error: self._call(self._done, batch, error))

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        """From the worker's thread to the event loop, unless that is gone."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _done(self, batch: Sequence[Ready], error: BaseException | None) -> None:
        self._busy = False
        self._job_done(error)
        if error is None:
            self._on_written(batch)
            if self._held and not self._busy:
                self._begin()

    def _job_done(self, error: BaseException | None) -> None:
        if error is not None and not self._failed:
            self._failed = True
            self._on_failure(error)

    def _job(self, batch: Sequence[Ready]) -> Job | None:
        """One job for the whole batch; None if there is nothing to write."""
        jobs: list[Job] = []
        entries: list[Entry] = []
        state: HardState | None = None
        for ready in batch:
            if ready.snapshot is not None:
                # Entries before it are void; only the hard state matters.
                jobs.append(self._writer.reset(ready.hard_state or state, ready.snapshot.index))
                entries, state = [], None
            if ready.entries:
                _replace_tail(entries, ready.entries)
            state = ready.hard_state or state
        if entries or state is not None:
            jobs.append(self._writer.append(state, entries))
        if not jobs:
            return None
        return jobs[0] if len(jobs) == 1 else lambda: [job() for job in jobs].clear()


def _replace_tail(entries: list[Entry], added: Sequence[Entry]) -> None:
    """Add entries that follow, or overwrite from their first index on."""
    if entries and added[0].index <= entries[-1].index:
        del entries[max(added[0].index - entries[0].index, 0) :]
    entries.extend(added)
