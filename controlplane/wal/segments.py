"""Segments of the log: their names and their first record. Pure."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from podling.controlplane.raft.messages import HardState
from podling.controlplane.wal import encoding

_NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.wal")
_HEAD = struct.Struct("<QQQQ")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose data it is."""

    cluster_id: int
    member_id: int

    def __str__(self) -> str:
        return f"member {self.member_id:x} of cluster {self.cluster_id:x}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of the log."""

    path: Path
    sequence: int
    """Counts up without gaps."""
    first_index: int
    """No entry below this one was written into it, except to overwrite uncommitted ones."""


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """What the first record of a segment says."""

    identity: Identity
    sequence: int
    first_index: int
    hard_state: HardState
    """As of its beginning, so that older segments can be removed."""


def path_of(directory: Path, sequence: int, first_index: int) -> Path:
    return directory / f"{sequence:016x}-{first_index:016x}.wal"


def parse_name(path: Path) -> Segment | None:
    """The segment that a file of this name is; None for any other file."""
    match = _NAME.fullmatch(path.name)
    return Segment(path, int(match[1], 16), int(match[2], 16)) if match else None


def encode_head(head: SegmentHead) -> bytes:
    numbers = (head.identity.cluster_id, head.identity.member_id, head.sequence, head.first_index)
    return _HEAD.pack(*numbers) + encoding.encode_hard_state(head.hard_state)


def decode_head(data: bytes) -> SegmentHead:
    """Raises encoding.UnknownFormat."""
    try:
        cluster_id, member_id, sequence, first_index = _HEAD.unpack_from(data)
        hard_state = encoding.decode_hard_state(data, _HEAD.size)
    except struct.error as error:
        raise encoding.UnknownFormat(f"not the head of a segment: {error}") from error
    return SegmentHead(Identity(cluster_id, member_id), sequence, first_index, hard_state)
