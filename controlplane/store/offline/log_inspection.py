"""Reads a log to its end, whatever is wrong with it: says what is wrong, and goes on behind it.

A start reads with `wal.log_reader`, which refuses the first damage. The two agree on a log that is
whole.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.messages import Entry, EntryKind, HardState
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.wal import encoding, records, segments
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.errors import LOG_REMEDY
from podling.controlplane.wal.records import Record, RecordKind
from podling.controlplane.wal.segments import Identity, Segment

_PROBLEMS_OF_A_FILE = 20
"""After so many, nothing in a file is worth reading."""
_WRITTEN_REMEDY = (
    "If the member runs, it may be writing there now: inspect again. Otherwise nothing: the next "
    "start cuts it off. It was never acknowledged"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something is not as it was written."""

    path: Path
    offset: int | None
    what: str
    remedy: str
    harmless: bool = False
    """Whether a start goes on over it."""


@dataclass(slots=True)
class SegmentReport:
    """One file of the log."""

    segment: Segment
    size: int = 0
    records: int = 0
    formats: set[int] = field(default_factory=set)
    """Versions of the records."""
    first_index: int = 0
    """Of the entries in it; 0 if it has none."""
    last_index: int = 0
    end: int = 0
    """Offset behind the last record."""


@dataclass(slots=True)
class LogReport:
    """What the log says, as far as it can be read."""

    segments: list[SegmentReport] = field(default_factory=list)
    identity: Identity | None = None
    """As the segments say."""
    hard_state: HardState = field(default_factory=HardState)
    entries: list[Entry] = field(default_factory=list)
    """In the order of their indexes; there are gaps where the log is damaged."""
    problems: list[Problem] = field(default_factory=list)

    def configuration(self) -> tuple[int, Configuration] | None:
        """The newest one in the log, committed or not, and the index of its entry."""
        for entry in reversed(self.entries):
            if entry.kind is EntryKind.CONFIGURATION:
                try:
                    return entry.index, configuration_entry.decode(entry.data)
                except configuration_entry.UnknownConfiguration:
                    continue
        return None


def inspect_log(disk: Disk, directory: Path) -> LogReport:
    """Read every segment; raises OSError only."""
    return _Walk(disk).read(directory)


class _Walk:
    """The way through the segments of one log."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._report = LogReport()
        self._checksum: int | None = None
        """Of the record before; None where that is not known."""
        self._at = SegmentReport(Segment(Path(), 0, 0))

    def read(self, directory: Path) -> LogReport:
        listed = _segments_in(self._disk, directory)
        for position, segment in enumerate(listed):
            try:
                data = self._disk.read(segment.path)
            except FileNotFoundError:
                # A running member has just removed it, being behind its snapshots.
                continue
            before = self._report.segments[-1].segment.sequence if self._report.segments else None
            self._at = SegmentReport(segment, len(data))
            self._report.segments.append(self._at)
            if before is not None and segment.sequence != before + 1:
                self._problem(0, f"segment {before + 1} before it is missing")
                self._checksum = None
            self._read_segment(data, is_last=position + 1 == len(listed))
        return self._report

    def _read_segment(self, data: bytes, *, is_last: bool) -> None:
        start: int | None = 0
        for _ in range(_PROBLEMS_OF_A_FILE):
            try:
                for record in records.decode(data, self._checksum, start or 0):
                    self._take(record)
                break
            except records.Torn as torn:
                what = "the last record is incomplete"
                if is_last:
                    remedy = _WRITTEN_REMEDY
                    self._report.problems.append(
                        Problem(self._at.segment.path, torn.offset, what, remedy, harmless=True)
                    )
                else:
                    self._problem(torn.offset, f"{what}, but a segment follows")
                break
            except records.Corrupt as corrupt:
                self._problem(corrupt.offset, corrupt.reason)
                self._checksum = None
                start = records.find_intact(data, max(corrupt.offset, (start or 0)))
                if start is None:
                    break
        if self._at.records == 0:
            self._problem(0, "the segment does not begin with its record")

    def _take(self, record: Record) -> None:
        at = self._at
        at.records += 1
        at.formats.add(record.version)
        at.end, self._checksum = record.end, record.checksum
        if (record.kind == RecordKind.SEGMENT) != (record.offset == 0):
            self._problem(record.offset, f"a record of kind {record.kind} cannot stand here")
        try:
            if record.kind == RecordKind.SEGMENT:
                self._take_head(record)
            elif record.kind == RecordKind.BATCH:
                self._report.hard_state = encoding.decode_hard_state(record.payload)
                added = encoding.decode_entries(record.payload, encoding.HARD_STATE_SIZE)
                self._take_entries(record.offset, added)
            elif record.kind == RecordKind.RESET:
                self._report.hard_state = encoding.decode_hard_state(record.payload)
                self._report.entries.clear()
            else:
                self._problem(record.offset, f"unknown kind of record {record.kind}")
        except encoding.UnknownFormat as error:
            self._problem(record.offset, str(error))

    def _take_head(self, record: Record) -> None:
        head = segments.decode_head(record.payload)
        self._report.hard_state = head.hard_state
        if self._report.identity not in (None, head.identity):
            self._problem(0, f"the segment belongs to {head.identity}")
        self._report.identity = self._report.identity or head.identity
        if head.sequence != self._at.segment.sequence:
            called = self._at.segment.sequence
            self._problem(0, f"the file is called {called}, but is {head.sequence}")

    def _take_entries(self, offset: int, added: Sequence[Entry]) -> None:
        if not added:
            return
        kept = self._report.entries
        if kept and added[0].index > kept[-1].index + 1:
            missing = f"entries {kept[-1].index + 1} to {added[0].index - 1} are missing before it"
            self._problem(offset, missing)
        del kept[bisect_left(kept, added[0].index, key=lambda entry: entry.index) :]
        kept.extend(added)
        self._at.first_index = self._at.first_index or added[0].index
        self._at.last_index = added[-1].index

    def _problem(self, offset: int, what: str) -> None:
        self._report.problems.append(Problem(self._at.segment.path, offset, what, LOG_REMEDY))


def _segments_in(disk: Disk, directory: Path) -> list[Segment]:
    if not disk.exists(directory):
        return []
    found = (segments.parse_name(directory / name) for name in disk.list_files(directory))
    return [segment for segment in found if segment is not None]
