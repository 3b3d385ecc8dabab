"""Entries, states and snapshot names as bytes; the same on disk and between members. Pure.

An entry is encoded once: version, kind, term, index, then the data. A list of them is each one's
length and bytes. What has another version than this program knows is refused by name.
"""

import struct
from collections.abc import Iterable

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.messages import Entry, EntryKind, HardState, SnapshotMeta
from podling.controlplane.raft.quorum import Configuration

VERSION = 1
SNAPSHOT_VERSION = 2

_ENTRY = struct.Struct("<BBQQ")
_SIZED_ENTRY = struct.Struct("<IBBQQ")
_HARD_STATE = struct.Struct("<QQQ")
_SNAPSHOT = struct.Struct("<BQQ")
_SNAPSHOT_1 = struct.Struct("<BQQHHH")
HARD_STATE_SIZE = _HARD_STATE.size
_KINDS = {int(kind): kind for kind in EntryKind}


class UnknownFormat(ValueError):
    """Bytes that this program cannot read, perhaps because a newer one wrote them."""


def encode_entries(entries: Iterable[Entry]) -> bytes:
    """A list of entries."""
    parts: list[bytes] = []
    for index, term, kind, data in entries:
        parts.append(_SIZED_ENTRY.pack(_ENTRY.size + len(data), VERSION, kind, term, index))
        parts.append(data)
    return b"".join(parts)


def decode_entries(data: bytes, start: int = 0) -> list[Entry]:
    """The list of entries that fills `data` from `start` on; raises UnknownFormat."""
    entries: list[Entry] = []
    head = _SIZED_ENTRY.size
    try:
        while start < len(data):
            length, version, kind, term, index = _SIZED_ENTRY.unpack_from(data, start)
            end = start + 4 + length
            if version != VERSION or length < _ENTRY.size or end > len(data):
                raise UnknownFormat(f"an entry of format {version}, this program knows {VERSION}")
            entries.append(Entry(index, term, _KINDS[kind], data[start + head : end]))
            start = end
    except (struct.error, KeyError) as error:
        raise UnknownFormat(f"not a list of entries: {error}") from error
    return entries


def encode_hard_state(state: HardState) -> bytes:
    return _HARD_STATE.pack(state.term, state.vote, state.commit)


def decode_hard_state(data: bytes, start: int = 0) -> HardState:
    """Raises UnknownFormat."""
    try:
        return HardState(*_HARD_STATE.unpack_from(data, start))
    except struct.error as error:
        raise UnknownFormat(f"not a hard state: {error}") from error


def encode_snapshot(snapshot: SnapshotMeta) -> bytes:
    """Index, term and members."""
    head = _SNAPSHOT.pack(SNAPSHOT_VERSION, snapshot.index, snapshot.term)
    return head + configuration_entry.encode(snapshot.configuration)


def decode_snapshot(data: bytes, start: int = 0) -> SnapshotMeta:
    """The name that fills `data` from `start` on; raises UnknownFormat."""
    try:
        version, index, term = _SNAPSHOT.unpack_from(data, start)
        if version == 1:
            return _decode_snapshot_1(data, start)
        if version != SNAPSHOT_VERSION:
            raise UnknownFormat(
                f"a snapshot of format {version}, this program knows {SNAPSHOT_VERSION}"
            )
        configuration = configuration_entry.decode(data[start + _SNAPSHOT.size :])
    except (struct.error, configuration_entry.UnknownConfiguration) as error:
        raise UnknownFormat(f"not the name of a snapshot: {error}") from error
    return SnapshotMeta(index, term, configuration)


def _decode_snapshot_1(data: bytes, start: int) -> SnapshotMeta:
    """As it was before configurations had a context."""
    _, index, term, *counts = _SNAPSHOT_1.unpack_from(data, start)
    groups = configuration_entry.read_groups(data, start + _SNAPSHOT_1.size, counts)
    return SnapshotMeta(index, term, Configuration(*groups))
