"""Reads the log back: every segment in order, checked, to the state in which writing stopped."""

from dataclasses import dataclass, field
from pathlib import Path

from podling.controlplane.raft.messages import Entry, HardState, SnapshotMeta
from podling.controlplane.wal import encoding, records, segments
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.errors import LOG_REMEDY, Damaged
from podling.controlplane.wal.records import Record, RecordKind
from podling.controlplane.wal.segments import Identity, Segment


@dataclass(slots=True)
class LogContents:
    """What the log says, and where to go on writing."""

    identity: Identity
    hard_state: HardState = field(default_factory=HardState)
    entries: list[Entry] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    """Oldest first."""
    end: int = 0
    """Offset in the last segment at which the next record goes."""
    checksum: int = 0
    """Of the last record."""
    last_record: bytes = b""
    """As it stands before `end`."""
    torn: int | None = None
    """Offset of a half-written record in the last segment, to be cut there."""
    void_to: int | None = None
    """Index of a snapshot that voids all entries: the log is to be reset before it goes on."""


def read_log(disk: Disk, directory: Path, identity: Identity) -> LogContents:
    """Read all segments in `directory`, changing nothing.

    Raises Damaged, also for a segment of another cluster or member.
    """
    contents = LogContents(identity)
    contents.segments = [
        segment
        for name in disk.list_files(directory)
        if (segment := segments.parse_name(directory / name)) is not None
    ]
    for position, segment in enumerate(contents.segments):
        expected = contents.segments[0].sequence + position
        if segment.sequence != expected:
            reason = f"segment {expected} before it is missing"
            raise Damaged(segment.path, 0, reason, LOG_REMEDY)
        _read_segment(disk, contents, segment)
    return contents


def _read_segment(disk: Disk, contents: LogContents, segment: Segment) -> None:
    is_first, is_last = segment == contents.segments[0], segment == contents.segments[-1]
    data = disk.read(segment.path)
    contents.end = 0
    try:
        for record in records.decode(data, None if is_first else contents.checksum):
            _take(contents, segment, record)
            contents.end, contents.checksum = record.end, record.checksum
            contents.last_record = data[record.offset : record.end]
    except records.Torn as torn:
        if not is_last:
            reason = "the record is incomplete, but a segment follows"
            raise Damaged(segment.path, torn.offset, reason, LOG_REMEDY) from torn
        contents.torn = torn.offset
    except records.Corrupt as corrupt:
        raise Damaged(segment.path, corrupt.offset, corrupt.reason, LOG_REMEDY) from corrupt
    if contents.end == 0:
        raise Damaged(segment.path, 0, "the segment does not begin with its record", LOG_REMEDY)


def _take(contents: LogContents, segment: Segment, record: Record) -> None:
    """Carry out one record."""
    if (record.kind == RecordKind.SEGMENT) != (record.offset == 0):
        raise records.Corrupt(record.offset, f"a record of kind {record.kind} cannot stand here")
    try:
        if record.kind == RecordKind.SEGMENT:
            _take_segment(contents, segment, record)
        elif record.kind == RecordKind.BATCH:
            _take_batch(contents, record)
        elif record.kind == RecordKind.RESET:
            contents.hard_state = encoding.decode_hard_state(record.payload)
            contents.entries.clear()
        else:
            raise records.Corrupt(record.offset, f"unknown kind of record {record.kind}")
    except encoding.UnknownFormat as error:
        raise records.Corrupt(record.offset, str(error)) from error


def _take_segment(contents: LogContents, segment: Segment, record: Record) -> None:
    head = segments.decode_head(record.payload)
    if head.identity != contents.identity:
        raise records.Corrupt(
            0, f"the segment belongs to {head.identity}, not to {contents.identity}"
        )
    if head.sequence != segment.sequence:
        raise records.Corrupt(0, f"the file is called {segment.sequence}, but is {head.sequence}")
    contents.hard_state = head.hard_state


def _take_batch(contents: LogContents, record: Record) -> None:
    contents.hard_state = encoding.decode_hard_state(record.payload)
    added = encoding.decode_entries(record.payload, encoding.HARD_STATE_SIZE)
    if not added:
        return
    kept, first = contents.entries, added[0].index
    if kept and first > kept[-1].index + 1:
        reason = f"entry {first} does not follow entry {kept[-1].index}"
        raise records.Corrupt(record.offset, reason)
    if kept:
        # Uncommitted entries were overwritten, perhaps back into a segment that has been removed.
        del kept[max(first - kept[0].index, 0) :]
    kept.extend(added)


def continues(entries: list[Entry], snapshot: SnapshotMeta) -> bool:
    """Whether the log that these entries are goes on from the state of `snapshot`.

    It does not if the process ended between taking over a leader's snapshot and writing that the
    log before is void: then it ends before the snapshot does, or has other entries.
    """
    if not entries or entries[0].index > snapshot.index:
        return True
    at = snapshot.index - entries[0].index
    return at < len(entries) and entries[at].term == snapshot.term


def void(contents: LogContents, snapshot: SnapshotMeta) -> None:
    """Take the log for void behind `snapshot`."""
    contents.entries.clear()
    contents.void_to = snapshot.index


def enter_term(contents: LogContents, snapshot: SnapshotMeta) -> None:
    """Be in the term of `snapshot` at least: it had a leader, for whom nobody votes again."""
    state = contents.hard_state
    if state.term < snapshot.term:
        contents.hard_state = HardState(snapshot.term, commit=max(state.commit, snapshot.index))


def with_base(entries: list[Entry], snapshot: SnapshotMeta) -> tuple[tuple[Entry, ...], int]:
    """The entries that a core can start from beside `snapshot`, and the term before the first.

    Where the log begins behind the very first entry and before the snapshot's end, its first entry
    is given up for its term.
    """
    if not entries or entries[0].index == 1 or entries[0].index > snapshot.index:
        return tuple(entries), 0
    return tuple(entries[1:]), entries[0].term
