"""Records: how anything is framed on disk, and how bad ends are told apart. Pure.

    offset  size
         0     2  magic
         2     1  version
         3     1  kind
         4     1  mask
         5     4  length of the payload
         9     4  checksum of the record before (0 for the first of all)
        13     4  checksum of the payload as it stands here
        17     4  checksum of the 17 bytes before this; it is that of the record
        21        payload, each byte XOR the mask
                1  end: D6

All numbers are little-endian, checksums are CRC-32C. Version 1 had neither mask nor end, and one
checksum, zlib's CRC-32 of version, kind, length, checksum before and payload. Such records are
read, also where newer ones follow them in the same file.

A batch of the log is one record and is synced before the next is written, hence at most the last
record of a log can be half written. The rest of a segment is zeros, so a torn record shows as a
sector (512 bytes, the unit in which disks write) that is still all zeros: by mask and end, a whole
record has none. A record that is wrong in another way, or has an intact one after it, was complete
once and has been damaged since. How far a record goes is taken from its header only if that is
intact.

A file that ends where a record ends is taken as it is: nothing tells that there was more. Where
that can be known, it is from elsewhere: the next segment continues a checksum that is not there.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from podling.controlplane.wal.checksums import crc32c

VERSION = 2
MAGIC = b"\xd6\x70"
MAX_PAYLOAD = 1 << 30
"""Larger lengths are taken for damage."""

_HEADER_1 = struct.Struct("<2sBBIII")
_COVERED_1 = struct.Struct("<BBII")
_HEADER = struct.Struct("<2sBBBIII")
_CHECKSUM = struct.Struct("<I")
_END = b"\xd6"
HEADER_SIZE = _HEADER.size + _CHECKSUM.size
OVERHEAD = HEADER_SIZE + len(_END)
"""Bytes by which a record is longer than its payload."""
_SIZES = {1: _HEADER_1.size, 2: HEADER_SIZE}
"""Of the header, by version."""
_SECTOR = 512
_RUN = _SECTOR - HEADER_SIZE
"""So many equal bytes of payload can fill a sector, beside the end of the header."""
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
    previous: int
    """Checksum of the record before."""
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
    mask = _mask_for(payload)
    stored = payload.translate(_masked(mask)) if mask else payload
    header = _HEADER.pack(MAGIC, VERSION, kind, mask, len(payload), previous, crc32c(stored))
    checksum = crc32c(header)
    return b"".join((header, _CHECKSUM.pack(checksum), stored, _END)), checksum


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
        if previous is not None and record.previous != previous:
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
            header = _header(buffer, 0)
            if header is None:
                raise Corrupt(offset, _newer(buffer, 0) or "the checksum does not match")
            if len(buffer) < header.whole:
                break
            record = _intact(bytes(buffer[: header.whole]), 0)
            if record is None or record.previous != previous:
                raise Corrupt(offset, "the checksum does not match")
            end = offset + record.end
            yield replace(record, offset=offset, end=end)
            del buffer[: record.end]
            offset, previous = end, record.checksum
    if buffer:
        raise Corrupt(offset, _newer(buffer, 0) or "the file ends in the middle of a record")


def _mask_for(payload: bytes) -> int:
    """The least mask that leaves no sector of zeros; 0 also if every one does."""
    # Runs of zeros are rare, and a run of this length has a byte at a multiple of it.
    if len(payload) < _RUN or 0 not in payload[::_RUN]:
        return 0
    return next((mask for mask in range(256) if bytes([mask]) * _RUN not in payload), 0)


@lru_cache
def _masked(mask: int) -> bytes:
    """What each byte becomes, for `translate`; the same back again."""
    return bytes(byte ^ mask for byte in range(256))


class _Header(NamedTuple):
    """What precedes a payload; of version 1 it is not known to be intact."""

    version: int
    kind: int
    mask: int
    length: int
    previous: int
    payload_checksum: int
    checksum: int
    """Of the record, as its successor says it."""
    size: int

    @property
    def whole(self) -> int:
        """Bytes of the record."""
        return self.size + self.length + (len(_END) if self.version > 1 else 0)


def _header(data: bytes | bytearray, offset: int) -> _Header | None:
    """The header at `offset`, if there is one that makes sense."""
    version = data[offset + 2] if offset + 2 < len(data) else 0
    size = _SIZES.get(version)
    if size is None or offset + size > len(data):
        return None
    if version == 1:
        magic, _, kind, length, previous, checksum = _HEADER_1.unpack_from(data, offset)
        header = _Header(version, kind, 0, length, previous, checksum, checksum, size)
    else:
        magic, *fields = _HEADER.unpack_from(data, offset)
        (checksum,) = _CHECKSUM.unpack_from(data, offset + _HEADER.size)
        if magic != MAGIC or crc32c(bytes(data[offset : offset + _HEADER.size])) != checksum:
            return None
        header = _Header._make((*fields, checksum, size))
    return header if magic == MAGIC and header.length <= MAX_PAYLOAD else None


def _intact(data: bytes, offset: int) -> Record | None:
    """The record at `offset`, if it is whole."""
    header = _header(data, offset)
    if header is None:
        return None
    version, kind, mask, length, previous, expected, checksum, size = header
    start, end = offset + size, offset + header.whole
    if end > len(data):
        return None
    payload = data[start : start + length]
    if version == 1:
        found = zlib.crc32(payload, zlib.crc32(_COVERED_1.pack(version, kind, length, previous)))
    else:
        found = crc32c(payload)
    if found != expected or data[start + length : end] not in (_END, b""):
        return None
    if mask:
        payload = payload.translate(_masked(mask))
    return Record(version, kind, payload, previous, checksum, offset, end)


def _newer(data: bytes | bytearray, offset: int) -> str:
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
    header = _header(data, offset)
    if header is not None:
        torn = _has_zero_sector(data, offset, offset + header.whole)
    else:
        # It may be that only a part of the header was written, and nothing behind it.
        end = offset + HEADER_SIZE
        torn = _has_zero_sector(data, offset, end) or _is_zero(data, end, len(data))
    if torn:
        return Torn(offset)
    return Corrupt(offset, "the checksum of the last record does not match")


_BEGIN = re.compile(
    re.escape(MAGIC) + b"[" + bytes(_SIZES) + b"]" + b"[" + re.escape(bytes(RecordKind)) + b"]"
)


def find_intact(data: bytes, start: int) -> int | None:
    """Where an intact record begins, from `start` on; where one may, if finding out takes long."""
    looked_at = 0
    for match in _BEGIN.finditer(data, start):
        position = match.start()
        if looked_at > _LOOKED_AT or _intact(data, position) is not None:
            return position
        header = _header(data, position)
        looked_at += HEADER_SIZE + (header.length if header is not None else 0)
    return None


def _has_zero_sector(data: bytes, start: int, end: int) -> bool:
    """Whether part of what goes from `start` to `end` never reached the disk."""
    if end > len(data):
        return True
    while start < end:
        stop = start // _SECTOR * _SECTOR + _SECTOR
        if _is_zero(data, start, min(stop, end)):
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
