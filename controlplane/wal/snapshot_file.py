"""Snapshot files: written beside, checked, then renamed; read back piece by piece.

A file is a record that names the snapshot and its owner's cluster, records with pieces of state,
and a last record that counts them. A leader streams the file as it is to a follower.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.wal import encoding, records
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.errors import SNAPSHOT_REMEDY, Damaged
from podling.controlplane.wal.part_file import PartFile
from podling.controlplane.wal.records import RecordKind

READ_BYTES = 256 * 1024
"""Pieces in which files are read and streamed."""

_NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.snap")
_HEAD = struct.Struct("<Q")
_END = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class SnapshotName:
    """A complete snapshot file, as its name says."""

    path: Path
    index: int
    term: int


def path_of(directory: Path, snapshot: SnapshotMeta) -> Path:
    return directory / f"{snapshot.index:016x}-{snapshot.term:016x}.snap"


def names(disk: Disk, directory: Path) -> list[SnapshotName]:
    """The snapshot files in `directory`, newest first."""
    found = [
        SnapshotName(directory / name, int(match[1], 16), int(match[2], 16))
        for name in disk.list_files(directory)
        if (match := _NAME.fullmatch(name))
    ]
    return sorted(found, key=lambda each: each.index, reverse=True)


def encode(cluster_id: int, snapshot: SnapshotMeta, state: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a snapshot file, a record at a time; `state` is drawn from as they are."""
    head = _HEAD.pack(cluster_id) + encoding.encode_snapshot(snapshot)
    data, checksum = records.encode(RecordKind.SNAPSHOT, head, 0)
    yield data
    count = size = 0
    for chunk in state:
        data, checksum = records.encode(RecordKind.CHUNK, chunk, checksum)
        yield data
        count, size = count + 1, size + len(chunk)
    yield records.encode(RecordKind.END, _END.pack(count, size), checksum)[0]


class SnapshotPart(PartFile):
    """A snapshot file being written, in jobs of the disk's worker."""

    def __init__(
        self, disk: Disk, directory: Path, snapshot: SnapshotMeta, *, received: bool = False
    ) -> None:
        """`received` from a leader; this member may be saving the same one itself meanwhile."""
        super().__init__(disk, path_of(directory, snapshot), origin=".received" if received else "")

    def finish(self, cluster_id: int) -> None:
        """Make it durable, read it back, and give it its name. Raises Damaged."""
        self.seal(cluster_id)
        self.name()

    def seal(self, cluster_id: int) -> None:
        """Make it durable and read it back. Raises Damaged."""
        if not self.size:
            raise Damaged(self.path, 0, "nothing was written", SNAPSHOT_REMEDY)
        self.sync()
        snapshot = check(self._disk, self.path, cluster_id)
        if path_of(self._target.parent, snapshot) != self._target:
            reason = f"it holds the state at {snapshot.index}, which is not what was announced"
            raise Damaged(self.path, 0, reason, SNAPSHOT_REMEDY)


def check(disk: Disk, path: Path, cluster_id: int) -> SnapshotMeta:
    """Read the whole file; return what it is a snapshot of. Raises Damaged."""
    for _ in read_state(disk, path, cluster_id):
        pass
    return read_head(disk, path, cluster_id)


def read_head(disk: Disk, path: Path, cluster_id: int | None) -> SnapshotMeta:
    """What the file is a snapshot of, in this cluster or in any. Raises Damaged."""
    chunks = disk.read_chunks(path, READ_BYTES)
    try:
        for record in records.decode_stream(chunks):
            return _head(record, cluster_id)
    except records.Corrupt as corrupt:
        raise Damaged(path, corrupt.offset, corrupt.reason, SNAPSHOT_REMEDY) from corrupt
    raise Damaged(path, 0, "the file is empty", SNAPSHOT_REMEDY)


def read_state(disk: Disk, path: Path, cluster_id: int | None) -> Iterator[bytes]:
    """The pieces of state in the file. Raises Damaged, perhaps after some of them."""
    count = size = 0
    complete = False
    try:
        for record in records.decode_stream(disk.read_chunks(path, READ_BYTES)):
            if complete:
                raise records.Corrupt(record.offset, "there is more after the end")
            if record.offset == 0:
                _head(record, cluster_id)
            elif record.kind == RecordKind.CHUNK:
                count, size = count + 1, size + len(record.payload)
                yield record.payload
            elif record.kind == RecordKind.END and record.payload == _END.pack(count, size):
                complete = True
            else:
                raise records.Corrupt(record.offset, f"unexpected record of kind {record.kind}")
    except records.Corrupt as corrupt:
        raise Damaged(path, corrupt.offset, corrupt.reason, SNAPSHOT_REMEDY) from corrupt
    if not complete:
        raise Damaged(path, 0, "the end is missing", SNAPSHOT_REMEDY)


def _head(record: records.Record, cluster_id: int | None) -> SnapshotMeta:
    if record.kind != RecordKind.SNAPSHOT or len(record.payload) < _HEAD.size:
        raise records.Corrupt(0, "this is not a snapshot")
    (found,) = _HEAD.unpack_from(record.payload)
    if cluster_id is not None and found != cluster_id:
        raise records.Corrupt(0, f"it belongs to cluster {found:x}, not to {cluster_id:x}")
    try:
        return encoding.decode_snapshot(record.payload, _HEAD.size)
    except encoding.UnknownFormat as error:
        raise records.Corrupt(0, str(error)) from error
