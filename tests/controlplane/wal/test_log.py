"""The log written and read back on the real disk."""

from collections.abc import Callable
from pathlib import Path

import pytest

from podling.controlplane.raft.messages import Entry, EntryKind, HardState
from podling.controlplane.wal import log_reader
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.errors import Damaged
from podling.controlplane.wal.log_reader import LogContents, read_log
from podling.controlplane.wal.log_writer import LogWriter
from podling.controlplane.wal.segments import Identity

ME = Identity(0xC1, 0xA)
DISK = OsDisk()


def entries(first: int, last: int, term: int = 1, size: int = 10) -> list[Entry]:
    return [
        Entry(index, term, EntryKind.COMMAND, b"%0*d" % (size, index))
        for index in range(first, last + 1)
    ]


def open_log(path: Path, segment_bytes: int = 1 << 20) -> LogWriter:
    writer = LogWriter(DISK, path, read_log(DISK, path, ME), segment_bytes)
    writer.open()()
    return writer


def files(path: Path) -> list[Path]:
    return sorted(path.iterdir())


def read(path: Path) -> LogContents:
    return read_log(DISK, path, ME)


def test_batches_come_back_after_a_restart(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    writer.append(HardState(1, 2, 0), entries(1, 3))()
    writer.append(HardState(1, 2, 3), entries(4, 4))()
    writer.close()()

    contents = read(tmp_path)
    assert contents.entries == entries(1, 4)
    assert contents.hard_state == HardState(1, 2, 3)

    writer = open_log(tmp_path)
    writer.append(None, entries(5, 5))()
    writer.close()()
    assert read(tmp_path).entries == entries(1, 5)
    assert read(tmp_path).hard_state == HardState(1, 2, 3)


def test_later_entries_replace_earlier_ones(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    writer.append(HardState(1), entries(1, 5))()
    writer.append(HardState(2), entries(3, 3, term=2))()
    writer.close()()

    assert read(tmp_path).entries == entries(1, 2) + entries(3, 3, term=2)


def test_segments_are_cut_and_removed(tmp_path: Path) -> None:
    writer = open_log(tmp_path, segment_bytes=200)
    for index in range(1, 31):
        writer.append(HardState(1, 1, index), entries(index, index))()
    assert len(files(tmp_path)) > 5
    writer.remove_before(20)()
    writer.append(None, entries(31, 31))()
    writer.close()()

    contents = read(tmp_path)
    assert contents.entries[0].index <= 20
    assert contents.entries[-1].index == 31
    assert contents.entries[0].index > 10


def test_entries_overwritten_back_into_a_removed_segment(tmp_path: Path) -> None:
    writer = open_log(tmp_path, segment_bytes=300)
    for index in range(1, 13):
        writer.append(HardState(1), entries(index, index))()
    boundary = writer._segments[-1].first_index
    writer.append(HardState(2), entries(boundary - 2, boundary + 3, term=2))()
    writer.remove_before(boundary)()
    writer.close()()

    assert read(tmp_path).entries == entries(boundary - 2, boundary + 3, term=2)


def test_a_reset_voids_what_was_before(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    writer.append(HardState(1), entries(1, 5))()
    writer.reset(HardState(3, 0, 100), 100)()
    writer.append(None, entries(101, 102, term=3))()
    writer.remove_before(101)()
    writer.close()()

    assert read(tmp_path).entries == entries(101, 102, term=3)
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("keep", [17, 600, 1023])
def test_a_torn_tail_is_cut_and_writing_goes_on(tmp_path: Path, keep: int) -> None:
    writer = open_log(tmp_path)
    writer.append(HardState(1), entries(1, 3))()
    end = writer._end
    writer.append(HardState(1), entries(4, 40, size=50))()
    writer.close()()
    (path,) = files(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: end + keep] + bytes(len(data) - end - keep))

    contents = read(tmp_path)
    assert contents.entries == entries(1, 3)
    assert contents.torn == end

    writer = open_log(tmp_path)
    writer.append(None, entries(4, 4))()
    writer.close()()
    contents = read(tmp_path)
    assert contents.entries == entries(1, 4)
    assert contents.torn is None


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def test_damage_in_the_middle_is_refused_with_file_offset_and_remedy(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    writer.append(HardState(1), entries(1, 3))()
    end = writer._end
    writer.append(HardState(1), entries(4, 6))()
    writer.append(HardState(1), entries(7, 9))()
    writer.close()()
    (path,) = files(tmp_path)
    flip(path, end + 60)

    with pytest.raises(Damaged) as caught:
        read(tmp_path)

    assert caught.value.offset == end
    assert str(path) in str(caught.value)
    assert "Nothing was changed" in str(caught.value)


def test_a_torn_record_before_another_segment_is_damage(tmp_path: Path) -> None:
    writer = open_log(tmp_path, segment_bytes=200)
    for index in range(1, 13):
        writer.append(HardState(1), entries(index, index))()
    writer.close()()
    first = files(tmp_path)[0]
    first.write_bytes(first.read_bytes()[:210])

    with pytest.raises(Damaged, match="incomplete, but a segment follows"):
        read(tmp_path)


def remove_second(path: Path) -> None:
    files(path)[1].unlink()


def swap_names(path: Path) -> None:
    one, two = files(path)[1:3]
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)


def empty_second(path: Path) -> None:
    files(path)[1].write_bytes(b"")


@pytest.mark.parametrize("harm", [remove_second, swap_names, empty_second])
def test_missing_swapped_or_emptied_segments_are_damage(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    writer = open_log(tmp_path, segment_bytes=200)
    for index in range(1, 31):
        writer.append(HardState(1), entries(index, index))()
    writer.close()()
    harm(tmp_path)

    with pytest.raises(Damaged):
        read(tmp_path)


def test_another_members_segment_is_refused(tmp_path: Path) -> None:
    open_log(tmp_path).close()()

    with pytest.raises(Damaged, match="belongs to member a of cluster c1, not to member b"):
        read_log(DISK, tmp_path, Identity(0xC1, 0xB))


def test_the_base_term_is_that_of_the_entry_given_up() -> None:
    snapshot = log_reader.SnapshotMeta(6, 2)

    assert log_reader.with_base(entries(4, 8, term=2), snapshot) == (
        tuple(entries(5, 8, term=2)),
        2,
    )
    assert log_reader.with_base(entries(7, 8), snapshot) == (tuple(entries(7, 8)), 0)
    assert log_reader.with_base(entries(1, 8), snapshot) == (tuple(entries(1, 8)), 0)
