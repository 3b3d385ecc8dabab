"""The lines of a container's log file, and which of them somebody asked for. Pure.

CRI's format, one record a line; `P` marks a piece of a line that goes on, `F` its end:

    2026-01-31T12:00:00.123456789Z stdout F hello
    2026-01-31T12:00:01.000000001Z stderr P a very long
    2026-01-31T12:00:01.000000002Z stderr F  line

Source: Kubernetes design proposal "CRI: Log management for container stdout and stderr streams".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What was asked for: the query of a log request."""

    follow: bool = False
    timestamps: bool = False
    previous: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: float | None = None
    """Seconds since the epoch; nothing older is wanted."""


class LogFilter:
    """Turns records into the output, piece by piece; knows when the limit is reached."""

    def __init__(self, options: LogOptions) -> None:
        self._timestamps = options.timestamps
        self._left = options.limit_bytes
        self._since = b"" if options.since is None else _stamp(options.since)
        self._line_begins = True

    @property
    def full(self) -> bool:
        """As many bytes as were asked for have been given."""
        return self._left is not None and self._left <= 0

    def text_of(self, record: bytes) -> bytes:
        """The output for one record without its newline; empty if it is not wanted."""
        stamp, tag, text = parse(record)
        if stamp < self._since:
            return b""
        if self._timestamps and self._line_begins:
            text = stamp + b" " + text
        self._line_begins = tag != b"P"
        if self._line_begins:
            text += b"\n"
        if self._left is not None:
            text = text[: self._left]
            self._left -= len(text)
        return text


def parse(record: bytes) -> tuple[bytes, bytes, bytes]:
    """(timestamp, `P` or `F`, text); a record that is none counts as text without a time."""
    parts = record.split(b" ", 3)
    if len(parts) == 4 and parts[1] in (b"stdout", b"stderr") and parts[2][:1] in (b"P", b"F"):
        return parts[0], parts[2][:1], parts[3]
    if len(parts) == 3 and parts[1] in (b"stdout", b"stderr"):
        return parts[0], parts[2][:1], b""
    return b"", b"F", record


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Whole records, and the beginning of one that is still being written."""
    *records, rest = data.split(b"\n")
    return records, rest


def tail_index(records: Sequence[bytes], wanted: int) -> tuple[int, int]:
    """Where the last `wanted` lines begin among whole `records`, and how many lines that are.

    A line may consist of several records; it is found by the one that ends it.
    """
    found = 0
    for index in range(len(records) - 1, -1, -1):
        if parse(records[index])[1] != b"P":
            if found == wanted:
                return index + 1, found
            found += 1
    return 0, found


def _stamp(seconds: float) -> bytes:
    """A moment as the log writes it: texts of this form sort by time."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z".encode()
