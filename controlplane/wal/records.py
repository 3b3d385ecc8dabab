"""Records: how anything is framed on disk, and how bad ends are told apart. Pure.

    offset  size
         0     2  magic
         2     1  version
         3     1  kind
         4     4  length of the payload
         8     4  checksum of the record before (0 for the first of all)
        12     4  checksum of the ten bytes at 2 to 11, then the payload
        16        payload

All numbers are little-endian. The checksum is CRC-32C; in version 1 it was zlib's CRC-32, and such
records are read, also where newer ones follow them in the same file.

A batch of the log is one record and is synced before the next is written, hence at most the last
record of a log can be half written. The rest of a segment is zeros, so a torn record shows as a
sector (512 bytes, the unit in which disks write) that is still all zeros. A record that is wrong in
another way, or has an intact one after it, was complete once and has been damaged since.

A file that ends where a record ends is taken as it is: nothing tells that there was more. Where
that can be known, it is from elsewhere: the next segment continues a checksum that is not there.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from podling.controlplane.wal.checksums import crc32c

VERSION = 2
MAGIC = b"\xd6\x70"
MAX_PAYLOAD = 1 << 30
"""Larger lengths are taken for damage."""

_HEADER = struct.Struct("<2sBBIII")
_COVERED = struct.Struct("<BBII")
HEADER_SIZE = _HEADER.size
_SECTOR = 512
_CHECKSUMS: dict[int, Callable[[bytes, int], int]] = {1: zlib.crc32, 2: crc32c}
"""How each version that can be read is checked."""
_LOOKED_AT = 1 << 30
"""Bytes checked at most in search of an intact record: hostile ones overlap without end."""


class RecordKind(IntEnum):
    """The values are on disk."""

    SEGMENT = 1
    """First of every segment of the log."""
    BATCH = 2
    """Entries and a hard state that were written together."""
    RESET = 3
    """A leader's snapshot was installed: the log before is void."""
    SNAPSHOT = 16
    """First of a snapshot file."""
    CHUNK = 17
    """A piece of the state machine's state."""
    END = 18
    """Last of a snapshot file: it is complete."""


@dataclass(frozen=True, slots=True)
class Record:
    """One intact record, where it stands and where the next one would."""

    version: int
    kind: int
    payload: bytes
    checksum: int
    offset: int
    end: int


class Torn(Exception):
    """The last record was not written completely; everything before `offset` is intact."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"torn record at byte {offset}")
        self.offset = offset


class Corrupt(Exception):
    """A record is not what was written."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason


def encode(kind: RecordKind, payload: bytes, previous: int) -> tuple[bytes, int]:
    """Frame `payload` behind a record of checksum `previous`; return the bytes and the checksum."""
    covered = _COVERED.pack(VERSION, kind, len(payload), previous)
    checksum = crc32c(payload, crc32c(covered))
    header = _HEADER.pack(MAGIC, VERSION, kind, len(payload), previous, checksum)
    return header + payload, checksum


def decode(data: bytes, previous: int | None, start: int = 0) -> Iterator[Record]:
    """The records of a segment, in order, up to the zeros behind the last one.

    `previous` is the checksum before the first record, None to take what it says. Raises Torn or
    Corrupt after the intact ones.
    """
    offset = start
    while offset < len(data):
        record = _intact(data, offset)
        if record is None:
            if _is_zero(data, offset, len(data)):
                return
            raise _verdict(data, offset)
        chained = previous is None or _previous(data, offset) == previous
        if not chained:
            raise Corrupt(offset, "the record does not follow the one before it")
        yield record
        previous, offset = record.checksum, record.end


def decode_stream(chunks: Iterable[bytes]) -> Iterator[Record]:
    """The records of a file that is complete, read piece by piece; anything else is Corrupt."""
    buffer = bytearray()
    offset, previous = 0, 0
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= HEADER_SIZE:
            length = _HEADER.unpack_from(buffer)[3]
            if length > MAX_PAYLOAD:
                raise Corrupt(offset, "the length makes no sense")
            if len(buffer) < HEADER_SIZE + length:
                break
            data = bytes(buffer[: HEADER_SIZE + length])
            record = _intact(data, 0)
            if record is None or _previous(data, 0) != previous:
                raise Corrupt(offset, _newer(data, 0) or "the checksum does not match")
            end = offset + record.end
            yield replace(record, offset=offset, end=end)
            del buffer[: record.end]
            offset, previous = end, record.checksum
    if buffer:
        raise Corrupt(offset, "the file ends in the middle of a record")


def _intact(data: bytes, offset: int) -> Record | None:
    """The record at `offset`, if it is whole."""
    if offset + HEADER_SIZE > len(data):
        return None
    magic, version, kind, length, previous, checksum = _HEADER.unpack_from(data, offset)
    start = offset + HEADER_SIZE
    if magic != MAGIC or length > MAX_PAYLOAD or start + length > len(data):
        return None
    checksum_of = _CHECKSUMS.get(version)
    if checksum_of is None:
        return None
    payload = data[start : start + length]
    covered = _COVERED.pack(version, kind, length, previous)
    if checksum_of(payload, checksum_of(covered, 0)) != checksum:
        return None
    return Record(version, kind, payload, checksum, offset, start + length)


def _previous(data: bytes, offset: int) -> int:
    previous: int = _HEADER.unpack_from(data, offset)[4]
    return previous


def _newer(data: bytes, offset: int) -> str:
    """What to say of a record of a version that is not known here; nothing of any other."""
    magic, version = data[offset : offset + 2], data[offset + 2 : offset + 3]
    if magic != MAGIC or version <= bytes([VERSION]):
        return ""
    return (
        f"the record says that it has format {version[0]}, this program knows {VERSION}: if a "
        "newer version wrote it, upgrade this one"
    )


def _verdict(data: bytes, offset: int) -> Torn | Corrupt:
    """Why there is no intact record at `offset`."""
    if reason := _newer(data, offset):
        return Corrupt(offset, reason)
    position = find_intact(data, offset + 1)
    if position is not None:
        return Corrupt(offset, f"the checksum does not match, and byte {position} is intact")
    if _has_zero_sector(data, offset):
        return Torn(offset)
    return Corrupt(offset, "the checksum of the last record does not match")


_BEGIN = re.compile(
    re.escape(MAGIC)
    + b"[" + bytes(_CHECKSUMS) + b"]"
    + b"[" + re.escape(bytes(RecordKind)) + b"]"
)  # fmt: skip


def find_intact(data: bytes, start: int) -> int | None:
    """Where an intact record begins, from `start` on; where one may, if finding out takes long."""
    looked_at = 0
    for match in _BEGIN.finditer(data, start):
        position = match.start()
        if _intact(data, position) is not None or looked_at > _LOOKED_AT:
            return position
        if position + HEADER_SIZE <= len(data):
            length: int = _HEADER.unpack_from(data, position)[3]
            looked_at += length if position + length <= len(data) else 0
    return None


def _has_zero_sector(data: bytes, offset: int) -> bool:
    """Whether part of the record at `offset` never reached the disk."""
    end = len(data)
    if offset + HEADER_SIZE > end:
        return True
    magic, _, _, length, _, _ = _HEADER.unpack_from(data, offset)
    if magic == MAGIC and length <= MAX_PAYLOAD:
        if offset + HEADER_SIZE + length > end:
            return True
        end = offset + HEADER_SIZE + length
    start = offset
    while start < end:
        stop = min(start // _SECTOR * _SECTOR + _SECTOR, end)
        if _is_zero(data, start, stop):
            return True
        start = stop
    return False


def _is_zero(data: bytes, start: int, end: int) -> bool:
    """Whether data[start:end] is all zeros."""
    while start < end:
        stop = min(start + 65536, end)
        if data.count(0, start, stop) != stop - start:
            return False
        start = stop
    return True
