import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podling.controlplane.raft.messages import Entry, EntryKind, HardState, SnapshotMeta
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.wal import encoding
from podling.controlplane.wal.encoding import UnknownFormat

untimed = settings(deadline=None)

U64 = st.integers(0, 2**64 - 1)
ENTRIES = st.lists(st.builds(Entry, U64, U64, st.sampled_from(EntryKind), st.binary(max_size=40)))
MEMBERS = st.frozensets(U64, max_size=4)
CONFIGURATIONS = st.builds(Configuration, MEMBERS, MEMBERS, MEMBERS, st.binary(max_size=20))
SNAPSHOTS = st.builds(SnapshotMeta, U64, U64, CONFIGURATIONS)


@untimed
@given(ENTRIES)
def test_entries_come_back(entries: list[Entry]) -> None:
    assert encoding.decode_entries(encoding.encode_entries(entries)) == entries


@untimed
@given(st.builds(HardState, U64, U64, U64))
def test_hard_states_come_back(state: HardState) -> None:
    assert encoding.decode_hard_state(encoding.encode_hard_state(state)) == state


@untimed
@given(SNAPSHOTS)
def test_snapshot_names_come_back(snapshot: SnapshotMeta) -> None:
    assert encoding.decode_snapshot(encoding.encode_snapshot(snapshot)) == snapshot


def test_the_first_format_of_snapshot_names_is_still_read() -> None:
    head = bytes.fromhex("01 0700000000000000 0300000000000000 0200 0100 0000")
    members = bytes.fromhex("0100000000000000 0200000000000000 0900000000000000")

    assert encoding.decode_snapshot(b"before" + head + members, len(b"before")) == SnapshotMeta(
        7, 3, Configuration(frozenset({1, 2}), outgoing=frozenset({9}))
    )


def test_a_snapshot_name_of_a_newer_format_is_named() -> None:
    data = encoding.encode_snapshot(SnapshotMeta(7, 3))

    with pytest.raises(UnknownFormat, match="format 9, this program knows 2"):
        encoding.decode_snapshot(b"\x09" + data[1:])


@untimed
@given(st.binary(max_size=60))
def test_other_bytes_are_read_or_refused_as_an_unknown_format(data: bytes) -> None:
    for decode in (encoding.decode_entries, encoding.decode_snapshot):
        with contextlib.suppress(UnknownFormat):
            decode(data)


def test_an_entry_of_a_newer_format_is_named() -> None:
    data = bytearray(encoding.encode_entries([Entry(1, 1, EntryKind.COMMAND, b"x")]))
    data[4] = 9

    with pytest.raises(UnknownFormat, match="format 9"):
        encoding.decode_entries(bytes(data))
