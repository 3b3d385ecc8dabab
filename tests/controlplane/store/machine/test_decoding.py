"""Bytes that nobody wrote, to the decoders of commands and snapshots: a clear error or a value."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podling.controlplane.store.machine import commands, snapshots
from podling.controlplane.store.machine.commands import CommandError
from podling.controlplane.store.machine.snapshots import SnapshotError
from podling.controlplane.store.requests import (
    Compare,
    CompareResult,
    CompareTarget,
    PutRequest,
    RangeRequest,
    TxnRequest,
)

quick = settings(max_examples=200, deadline=None)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9)
RECORDS = st.builds(
    lambda numbers, key, value: (
        snapshots._RECORD.pack(*numbers, len(key), len(value)) + key + value
    ),
    st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    st.binary(max_size=3),
    st.binary(max_size=3),
)
ITEMS = (
    RECORDS
    | st.binary(max_size=20)
    | st.tuples(NUMBERS, NUMBERS).map(lambda pair: snapshots._LEASE.pack(*pair))
)
SECTIONS = st.lists(
    st.tuples(st.integers(0, 12), st.lists(ITEMS, max_size=4), st.integers(-1, 1)), max_size=4
)


def snapshot(
    sections: list[tuple[int, list[bytes], int]], revision: int, compact_revision: int
) -> bytes:
    """With a checksum that holds, whatever the sections are."""
    data = snapshots._HEADER.pack(snapshots.MAGIC, 2, revision, compact_revision)
    for tag, items, more in sections:
        data += snapshots._SECTION.pack(tag, max(len(items) + more, 0)) + b"".join(items)
    return data + snapshots._SECTION.pack(snapshots.END, zlib.crc32(data))


@quick
@given(st.binary(max_size=120))
def test_any_bytes_are_a_command_or_an_error(data: bytes) -> None:
    for version in range(commands.VERSION + 2):
        try:
            commands.decode(bytes([version]) + data)
        except CommandError as error:
            assert str(error)


WRITTEN = commands.encode(
    TxnRequest(
        [Compare(b"key", CompareTarget.MOD, CompareResult.EQUAL, 5)],
        [PutRequest(b"key", b"value", 7), TxnRequest((), [RangeRequest(b"a", b"b")], ())],
        [RangeRequest(b"key")],
    )
)


def test_a_command_that_is_cut_is_an_error() -> None:
    for size in range(len(WRITTEN)):
        with pytest.raises(CommandError):
            commands.decode(WRITTEN[:size])


@quick
@given(st.integers(1, len(WRITTEN)), st.binary(max_size=9), st.integers(0, 9))
def test_a_command_that_was_changed_is_a_command_or_an_error(
    at: int, put_in: bytes, left_out: int
) -> None:
    try:
        commands.decode(WRITTEN[:at] + put_in + WRITTEN[at + left_out :])
    except CommandError as error:
        assert str(error)


def test_transactions_within_each_other_without_end_are_an_error() -> None:
    begin = bytes([commands.TXN]) + bytes(4) + (1).to_bytes(4, "big")

    with pytest.raises(CommandError):
        commands.decode(b"\1" + begin * 100_000)


@quick
@given(st.binary(max_size=200))
def test_any_bytes_are_a_snapshot_or_an_error(data: bytes) -> None:
    header = snapshots._HEADER.pack(snapshots.MAGIC, 2, 5, 2)
    for begin in (b"", header, header[:10]):
        with pytest.raises(SnapshotError):
            snapshots.read([begin + data])


@quick
@given(SECTIONS, st.integers(0, 2**64 - 1) | st.integers(0, 5), NUMBERS)
def test_sections_without_sense_are_a_snapshot_or_an_error(
    sections: list[tuple[int, list[bytes], int]], revision: int, compact_revision: int
) -> None:
    try:
        snapshots.read([snapshot(sections, revision, compact_revision)])
    except SnapshotError as error:
        assert str(error)
