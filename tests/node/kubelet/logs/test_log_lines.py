import pytest

from podling.node.kubelet.logs import log_lines
from podling.node.kubelet.logs.log_lines import LogFilter, LogOptions

HELLO = b"2026-01-31T12:00:00.123456789Z stdout F hello"
PIECE = b"2026-01-31T12:00:01.000000001Z stderr P a very long"
END = b"2026-01-31T12:00:01.000000002Z stderr F  line"
EMPTY = b"2026-01-31T12:00:02.000000000Z stdout F "


def text(options: LogOptions, *records: bytes) -> bytes:
    wanted = LogFilter(options)
    return b"".join(wanted.text_of(record) for record in records)


def test_lines_are_given_without_their_heads() -> None:
    assert text(LogOptions(), HELLO, PIECE, END, EMPTY) == b"hello\na very long line\n\n"


def test_timestamps_stand_once_a_line() -> None:
    found = text(LogOptions(timestamps=True), HELLO, PIECE, END)
    assert found == (
        b"2026-01-31T12:00:00.123456789Z hello\n2026-01-31T12:00:01.000000001Z a very long line\n"
    )


def test_older_lines_are_left_out() -> None:
    assert text(LogOptions(since=1769860801), HELLO, END) == b" line\n"


def test_a_limit_cuts_even_inside_a_line() -> None:
    wanted = LogFilter(LogOptions(limit_bytes=8))
    assert wanted.text_of(HELLO) == b"hello\n"
    assert not wanted.full
    assert wanted.text_of(HELLO) == b"he"
    assert wanted.full


def test_a_record_that_is_none_counts_as_text() -> None:
    assert text(LogOptions(), b"garbage") == b"garbage\n"


@pytest.mark.parametrize(
    ("wanted", "index", "found"), [(0, 4, 0), (1, 3, 1), (2, 1, 2), (3, 0, 3), (9, 0, 3)]
)
def test_the_last_lines_are_counted_whole(wanted: int, index: int, found: int) -> None:
    assert log_lines.tail_index([HELLO, PIECE, END, EMPTY], wanted) == (index, found)
