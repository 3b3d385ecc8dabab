"""Bytes that nobody wrote, and bytes that were written and changed since.

Whatever is in the files: an error that names the file, or what was written. Nothing else is raised,
nothing is made up, and nothing takes long.
"""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podling.controlplane.raft.messages import Entry, EntryKind, HardState, SnapshotMeta
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.wal import data_dir, records, segments, snapshot_file
from podling.controlplane.wal.errors import Damaged, DataDirectoryError
from podling.controlplane.wal.log_reader import LogContents, read_log
from podling.controlplane.wal.log_writer import LogWriter
from podling.controlplane.wal.records import RecordKind
from podling.controlplane.wal.segments import Identity, SegmentHead
from podling.simulate.disk import MemoryDisk

ME = Identity(0xC1, 0xA)
WAL = Path("/wal")
SEGMENT = segments.path_of(WAL, 1, 1)
SNAPSHOT = Path("/snapshot")
HEAD = segments.encode_head(SegmentHead(ME, 1, 1, HardState(1, 2, 0)))

KINDS = st.sampled_from(RecordKind)
#: Whole records, in a chain, of contents that make no sense or nearly do.
PAYLOADS = st.binary(max_size=80) | st.builds(
    lambda head, rest: head + rest, st.sampled_from([HEAD, bytes(24)]), st.binary(max_size=60)
)
RECORDS = st.lists(st.tuples(KINDS, PAYLOADS), max_size=6)
quick = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def disk_with(path: Path, data: bytes) -> MemoryDisk:
    disk = MemoryDisk(random.Random(0))
    disk.make_directory(path.parent)
    disk.open(path).write(0, data, sync=True)
    return disk


def read(data: bytes) -> LogContents:
    return read_log(disk_with(SEGMENT, data), WAL, ME)


def chain(several: list[tuple[RecordKind, bytes]]) -> bytes:
    data, checksum = b"", 0
    for kind, payload in several:
        record, checksum = records.encode(kind, payload, checksum)
        data += record
    return data


@quick
@given(st.binary(max_size=200) | RECORDS.map(chain))
def test_a_segment_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    for begin in (b"", records.encode(RecordKind.SEGMENT, HEAD, 0)[0]):
        try:
            read(begin + data)
        except Damaged as damaged:
            assert str(SEGMENT) in str(damaged)


@quick
@given(st.lists(st.tuples(KINDS, PAYLOADS), max_size=6))
def test_records_in_the_right_chain_are_read_or_refused(
    several: list[tuple[RecordKind, bytes]],
) -> None:
    try:
        read(chain([(RecordKind.SEGMENT, HEAD), *several]))
    except Damaged as damaged:
        assert str(SEGMENT) in str(damaged)


@quick
@given(st.binary(max_size=200) | RECORDS.map(chain))
def test_a_snapshot_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    disk = disk_with(SNAPSHOT, data)
    for cluster_id in (0xC1, None):
        try:
            snapshot_file.check(disk, SNAPSHOT, cluster_id)
        except Damaged as damaged:
            assert str(SNAPSHOT) in str(damaged)


@quick
@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["format", "cluster_id", "member_id"]), inner)
        ),
        max_leaves=5,
    ).map(lambda value: data_dir.json.dumps(value).encode())
)
def test_an_identity_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    path = Path("/data/member.json")
    try:
        data_dir.parse_identity(path, data)
    except DataDirectoryError as error:
        assert str(path) in str(error)


def written_log() -> bytes:
    """A log of six batches, in one segment."""
    disk = MemoryDisk(random.Random(0))
    disk.make_directory(WAL)
    writer = LogWriter(disk, WAL, read_log(disk, WAL, ME), 2000)
    writer.open()()
    for index in range(1, 12, 2):
        batch = [Entry(index + i, 1, EntryKind.COMMAND, b"%d" % index * 9) for i in range(2)]
        writer.append(HardState(1, 1, index), batch)()
    writer.close()()
    return disk.read(SEGMENT)


LOG = written_log()
WHOLE = read(LOG)
RECORD_ENDS = [record.end for record in records.decode(LOG, 0)]


def is_prefix(found: LogContents) -> bool:
    return found.entries == WHOLE.entries[: len(found.entries)]


def test_a_bit_that_flips_anywhere_is_noticed() -> None:
    data = bytearray(LOG)
    for offset in range(len(data)):
        data[offset] ^= 1 << offset % 8
        try:
            found = read(bytes(data))
        except Damaged as damaged:
            assert damaged.offset <= offset < RECORD_ENDS[-1]
        else:
            # Behind the last record: what is there was never acknowledged.
            assert offset >= RECORD_ENDS[-1]
            assert found.entries == WHOLE.entries
            assert found.torn == RECORD_ENDS[-1]
        data[offset] ^= 1 << offset % 8


def test_a_log_that_is_cut_anywhere_ends_there_and_says_so() -> None:
    for size in range(len(LOG)):
        if size < RECORD_ENDS[0]:
            with pytest.raises(Damaged, match="does not begin with its record"):
                read(LOG[:size])
            continue
        found = read(LOG[:size])
        end = max(end for end in RECORD_ENDS if end <= size)
        assert is_prefix(found)
        assert found.end == end
        # Cut where a record ends, it is as if the next had never been written.
        whole = size in RECORD_ENDS or size > RECORD_ENDS[-1]
        assert found.torn == (None if whole else end)


@quick
@given(st.integers(0, len(LOG) - 1), st.binary(min_size=1, max_size=40))
def test_bytes_that_were_overwritten_are_noticed_or_behind_the_end(at: int, data: bytes) -> None:
    try:
        found = read(LOG[:at] + data + LOG[at + len(data) :])
    except Damaged:
        return
    assert is_prefix(found)
    # Zeros in the last record are what a torn write leaves; anything before is noticed.
    assert len(found.entries) >= len(WHOLE.entries) - 2


def written_snapshot() -> bytes:
    meta = SnapshotMeta(7, 2, Configuration(frozenset({1, 2, 3})))
    return b"".join(snapshot_file.encode(0xC1, meta, [b"one" * 40, b"", b"three"]))


def test_a_snapshot_that_was_changed_or_cut_anywhere_is_refused() -> None:
    whole = written_snapshot()
    snapshot_file.check(disk_with(SNAPSHOT, whole), SNAPSHOT, 0xC1)
    changed = [
        whole[:offset] + bytes([whole[offset] ^ (1 << offset % 8)]) + whole[offset + 1 :]
        for offset in range(len(whole))
    ]
    cut = [whole[:size] for size in range(len(whole))]
    for data in (*changed, *cut, whole + b"\0", whole + whole):
        with pytest.raises(Damaged):
            snapshot_file.check(disk_with(SNAPSHOT, data), SNAPSHOT, 0xC1)
