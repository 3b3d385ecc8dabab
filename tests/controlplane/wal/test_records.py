import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from podling.controlplane.wal import checksums, records
from podling.controlplane.wal.records import Corrupt, RecordKind, Torn

untimed = settings(deadline=None)

PAYLOADS = st.lists(st.binary(min_size=1, max_size=60), min_size=2, max_size=5)

#: Payloads with runs of zeros, and of other bytes.
ZEROS_AND_MORE = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, 0xD6, 0xFF]), st.sampled_from([1, 4, 20, 490, 491, 512, 2000])
    ),
    max_size=5,
).map(lambda runs: b"".join(bytes([byte]) * count for byte, count in runs))


def segment(payloads: list[bytes], zeros: int = 4096) -> tuple[bytes, list[int]]:
    """The bytes of a segment, and where its records begin."""
    data, starts, checksum = b"", [], 0
    for payload in payloads:
        starts.append(len(data))
        record, checksum = records.encode(RecordKind.BATCH, payload, checksum)
        data += record
    return data + bytes(zeros), starts


def payloads_of(data: bytes) -> list[bytes]:
    return [record.payload for record in records.decode(data, 0)]


@untimed
@given(st.lists(st.binary(max_size=60), max_size=5), st.integers(0, 100))
def test_what_is_encoded_comes_back(payloads: list[bytes], zeros: int) -> None:
    data, _ = segment(payloads, zeros)

    assert payloads_of(data) == payloads
    stream = data[: len(data) - zeros]
    pieces = [stream[i : i + 7] for i in range(0, len(stream), 7)]
    assert [record.payload for record in records.decode_stream(pieces)] == payloads


@untimed
@given(PAYLOADS, st.data())
def test_any_flipped_bit_before_the_last_record_is_damage(
    payloads: list[bytes], data: st.DataObject
) -> None:
    written, starts = segment(payloads)
    position = data.draw(st.integers(0, starts[-1] - 1))
    damaged = bytearray(written)
    damaged[position] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(Corrupt) as caught:
        payloads_of(bytes(damaged))

    assert caught.value.offset == max(start for start in starts if start <= position)


@untimed
@given(st.binary(min_size=1, max_size=3000).map(lambda data: b"\xff" + data + b"\xff"), st.data())
@example(b"\xff" * 2000, None)
def test_a_last_record_that_lacks_a_sector_is_torn(payload: bytes, data: st.DataObject) -> None:
    written, starts = segment([b"first", payload])
    end = len(written) - 4096
    sectors = range(starts[1] // 512 + 1, (end - 1) // 512 + 1)
    if not sectors:
        return
    sector = data.draw(st.sampled_from(sectors)) if data is not None else sectors[0]
    torn = bytearray(written)
    torn[sector * 512 : min(sector * 512 + 512, end)] = bytes(min(512, end - sector * 512))
    if bytes(torn) == written:
        return

    read = []
    with pytest.raises(Torn) as caught:
        read += [record.payload for record in records.decode(bytes(torn), 0)]

    assert caught.value.offset == starts[1]


def test_a_file_that_ends_in_a_record_is_torn() -> None:
    written, starts = segment([b"first", b"second"], zeros=0)

    for length in range(starts[1] + 1, len(written)):
        with pytest.raises(Torn):
            payloads_of(written[:length])


def test_a_flipped_bit_in_the_last_record_is_damage_not_a_torn_write() -> None:
    written, starts = segment([b"first", b"second" * 10])
    damaged = bytearray(written)
    damaged[starts[1] + records.HEADER_SIZE + 3] ^= 1

    with pytest.raises(Corrupt, match="checksum of the last record"):
        payloads_of(bytes(damaged))


@untimed
@given(ZEROS_AND_MORE, st.integers(0, 600), st.data())
def test_a_damaged_last_record_is_not_taken_for_a_torn_one_whatever_zeros_it_has(
    payload: bytes, before: int, data: st.DataObject
) -> None:
    written, starts = segment([b"x" * before, payload])
    assert payloads_of(written) == [b"x" * before, payload]
    end = len(written) - 4096
    damaged = bytearray(written)
    damaged[data.draw(st.integers(starts[1], end - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(Corrupt):
        payloads_of(bytes(damaged))


@untimed
@given(ZEROS_AND_MORE, st.integers(0, 600), st.data())
def test_a_last_record_that_lacks_any_sectors_is_torn_whatever_zeros_it_has(
    payload: bytes, before: int, data: st.DataObject
) -> None:
    written, starts = segment([b"x" * before, payload])
    end = len(written) - 4096
    sectors = list(range(starts[1] // 512, (end - 1) // 512 + 1))
    lacking = data.draw(st.sets(st.sampled_from(sectors), min_size=1))
    torn = bytearray(written)
    for sector in lacking:
        start, stop = max(sector * 512, starts[1]), min(sector * 512 + 512, end)
        torn[start:stop] = bytes(stop - start)

    read = []
    try:
        for record in records.decode(bytes(torn), 0):
            read.append(record.payload)
    except Torn as error:
        assert error.offset == starts[1]
    else:
        # Not even its first sector was written: as if it had never been begun.
        assert lacking == set(sectors)
    assert read == [b"x" * before]


def test_no_mask_helps_where_every_byte_fills_a_sector() -> None:
    payload = b"".join(bytes([byte]) * 600 for byte in range(256))
    written, _ = segment([payload])

    assert payloads_of(written) == [payload]


@pytest.mark.parametrize("bit", range(32))
def test_a_length_that_was_damaged_is_not_taken_for_a_torn_write(bit: int) -> None:
    # Whatever the length says now: zeros follow, or the file ends before.
    written, starts = segment([b"first", b"second" * 10])
    damaged = bytearray(written)
    damaged[starts[1] + 5 + bit // 8] ^= 1 << bit % 8

    with pytest.raises(Corrupt, match="checksum of the last record"):
        payloads_of(bytes(damaged))


def test_a_record_that_was_left_out_is_noticed() -> None:
    written, starts = segment([b"one", b"two", b"three"])

    with pytest.raises(Corrupt, match="does not follow"):
        payloads_of(written[: starts[1]] + written[starts[2] :])


@pytest.mark.parametrize("zeros", [0, 4096])
def test_a_newer_format_is_named_and_never_taken_for_a_torn_record(zeros: int) -> None:
    written, starts = segment([b"first", bytes(2000)], zeros)
    newer = bytearray(written)
    newer[starts[1] + 2] = records.VERSION + 1

    for decode in (records.decode(bytes(newer), 0), records.decode_stream([bytes(newer)])):
        with pytest.raises(Corrupt, match="has format 3, this program knows 2"):
            list(decode)


def test_records_of_the_former_format_are_read_and_continued() -> None:
    # As the encoder of version 1 wrote them, with zlib's CRC-32.
    former = bytes.fromhex("d67001020500000000000000fbb63ac66669727374")
    (first,) = records.decode(former, 0)
    second, _ = records.encode(RecordKind.BATCH, b"second", first.checksum)
    read = list(records.decode(former + second + bytes(600), 0))

    assert [(record.version, record.payload) for record in read] == [(1, b"first"), (2, b"second")]
    assert list(records.decode_stream([former + second])) == read


def test_hostile_bytes_do_not_keep_the_decoder_busy() -> None:
    # Each begins a record of half a segment that is almost whole, and overlaps the next.
    begin = records._HEADER.pack(records.MAGIC, 2, RecordKind.BATCH, 0, 1 << 20, 0, 0)
    begin += checksums.crc32c(begin).to_bytes(4, "little")
    data = b"\xff" + begin * (2 * (1 << 20) // len(begin))

    began = time.process_time()
    with pytest.raises(Corrupt):
        list(records.decode(data, 0))
    assert time.process_time() - began < 5


@untimed
@given(st.binary(max_size=300))
def test_no_bytes_make_the_decoder_fail_in_another_way(data: bytes) -> None:
    for decode in (lambda: records.decode(data, None), lambda: records.decode_stream([data])):
        try:
            for _ in decode():
                pass
        except (Corrupt, Torn):
            pass
