"""Appends to the log. Deciding is done in the caller's thread, the disk's part in jobs.

Every method frames what is to be written, moves the writer's position on and returns a job: a
function that does the system calls, to be run on the disk's worker in the order in which the
methods were called. When a job is done, its bytes survive a crash.

When a job raises, every later one does, and writes nothing: a sync that failed cannot be repeated,
since the kernel may have forgotten what it was to write, and says that all is well the next time.
The bytes may then be in the page cache and nowhere else, where the next process reads them; so it
writes the last record once more before it relies on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from podling.controlplane.raft.messages import Entry, HardState
from podling.controlplane.wal import encoding, records, segments
from podling.controlplane.wal.disk import Disk, File
from podling.controlplane.wal.log_reader import LogContents
from podling.controlplane.wal.records import RecordKind
from podling.controlplane.wal.segments import Segment, SegmentHead

Job = Callable[[], None]


class LogFailed(OSError):
    """An earlier job failed, and so does each after it."""


SEGMENT_BYTES = 16 * 1024 * 1024
"""A segment is closed when it has grown beyond this."""
_ALLOCATE_BYTES = 1024 * 1024
"""Zeros are written ahead in pieces of this size, or of a segment if that is smaller: a sync that
need not grow the file is faster."""


@dataclass(slots=True)
class _OpenSegment:
    """The file that jobs write to; touched by jobs only."""

    file: File
    allocated: int
    """Size of the file, as far as it is known to be zeros beyond what was written."""


class LogWriter:
    """The end of one member's log."""

    def __init__(
        self, disk: Disk, directory: Path, contents: LogContents, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._identity = contents.identity
        self._segment_bytes = segment_bytes
        self._zeros = bytes(min(_ALLOCATE_BYTES, segment_bytes))
        self._segments = list(contents.segments)
        self._hard_state = contents.hard_state
        self._next_index = contents.entries[-1].index + 1 if contents.entries else 1
        self._end, self._checksum = contents.end, contents.checksum
        self._torn = contents.torn
        self._last_record = contents.last_record
        self._void_to = contents.void_to
        self._open: _OpenSegment | None = None
        self._failure: BaseException | None = None
        """What a job raised."""

    def open(self) -> Job:
        """Begin to write: cut off what is torn, void what is stale; make what is missing."""
        if not self._segments:
            return self._begin_segment()
        go_on = self._go_on()
        if self._void_to is None:
            return go_on
        void = self.reset(None, self._void_to)
        return lambda: (go_on(), void())[1]

    def _go_on(self) -> Job:
        """Open the last segment where the log ends."""
        path, end, torn, last = self._segments[-1].path, self._end, self._torn, self._last_record

        def job() -> None:
            file = self._disk.open(path)
            if torn is not None:
                file.truncate(end)
            file.write(end - len(last), last, sync=True)
            # Whatever stands behind the end is zeros already, but how far is not known.
            self._open = _OpenSegment(file, allocated=end)

        return self._unless_failed(job)

    def append(self, hard_state: HardState | None, entries: Sequence[Entry]) -> Job:
        """Write a batch: all of it survives, or none."""
        # A new segment begins with what is durable; the batch may not come to be.
        begin = self._begin_segment() if self._end >= self._segment_bytes else None
        self._hard_state = hard_state or self._hard_state
        if entries:
            self._next_index = entries[-1].index + 1
        payload = encoding.encode_hard_state(self._hard_state) + encoding.encode_entries(entries)
        write = self._record(RecordKind.BATCH, payload)
        return write if begin is None else lambda: (begin(), write())[1]

    def reset(self, hard_state: HardState | None, index: int) -> Job:
        """A snapshot up to `index` was installed: void the log, go on behind it."""
        # What the log has behind the snapshot is void, what the snapshot has is committed.
        self._hard_state = replace(hard_state or self._hard_state, commit=index)
        self._next_index = index + 1
        write = self._record(RecordKind.RESET, encoding.encode_hard_state(self._hard_state))
        begin = self._begin_segment()
        return lambda: (write(), begin())[1]

    def remove_before(self, index: int) -> Job:
        """Remove the segments that have no entry from `index` on; the last one stays."""
        count = 0
        while count + 1 < len(self._segments) and self._segments[count + 1].first_index <= index:
            count += 1
        removed, self._segments = self._segments[:count], self._segments[count:]

        def job() -> None:
            # One after another, the oldest first: no crash may leave a gap.
            for segment in removed:
                self._disk.remove(segment.path)
                self._disk.sync_directory(self._directory)

        return self._unless_failed(job)

    def close(self) -> Job:
        def job() -> None:
            if self._open is not None:
                self._open.file.close()
                self._open = None

        return job

    def _record(self, kind: RecordKind, payload: bytes) -> Job:
        data, self._checksum = records.encode(kind, payload, self._checksum)
        offset, self._end = self._end, self._end + len(data)
        return self._unless_failed(lambda: self._write(offset, data))

    def _unless_failed(self, work: Job) -> Job:
        def job() -> None:
            if self._failure is not None:
                raise LogFailed(f"the log is not written to since {self._failure}")
            try:
                work()
            except BaseException as error:
                self._failure = error
                raise

        return job

    def _write(self, offset: int, data: bytes) -> None:
        """Job: write `data`, having made room for it."""
        target = self._open
        if target is None:
            raise RuntimeError("the log is not open")
        end = offset + len(data)
        if end > target.allocated:
            target.allocated = self._allocate(target.file, target.allocated, end)
        target.file.write(offset, data, sync=True)

    def _begin_segment(self) -> Job:
        """Close the last segment and make the next; its first record is written with it."""
        sequence = self._segments[-1].sequence + 1 if self._segments else 1
        head = SegmentHead(self._identity, sequence, self._next_index, self._hard_state)
        path = segments.path_of(self._directory, sequence, self._next_index)
        self._segments.append(Segment(path, sequence, self._next_index))
        data, self._checksum = records.encode(
            RecordKind.SEGMENT, segments.encode_head(head), self._checksum
        )
        self._end = len(data)
        return self._unless_failed(lambda: self._create(path, data))

    def _create(self, path: Path, data: bytes) -> None:
        """Job: a segment appears with its first record, or not at all."""
        if self._open is not None:
            self._open.file.close()
            self._open = None
        part = path.with_suffix(".part")
        if self._disk.exists(part):
            self._disk.remove(part)
        file = self._disk.open(part)
        allocated = self._allocate(file, 0, len(data))
        file.write(0, data, sync=True)
        self._disk.rename(part, path)
        self._open = _OpenSegment(file, allocated)

    def _allocate(self, file: File, allocated: int, needed: int) -> int:
        """Job: extend the file by zeros to at least `needed` bytes; return the new size."""
        while allocated < needed:
            file.write(allocated, self._zeros, sync=False)
            allocated += len(self._zeros)
        file.sync()
        return allocated
