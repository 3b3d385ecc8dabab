"""What processes print: CRI log lines, rotated files, and captured output.

The log format is CRI's (kubernetes/design-proposals kubelet-cri-logging): a line is

    2026-01-31T12:00:00.123456789Z stdout F the text

with `F` for a full line and `P` for a piece of one that goes on in the next `P` or `F` line of the
same stream. Concatenating the texts, with a newline after every `F`, gives back every byte.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import Protocol

from podling.aiokit.clock import WallClock

log = logging.getLogger(__name__)

PIECE = 16 * 1024
"""Bytes of one log line; what is longer is cut into pieces."""


class Sink(Protocol):
    """Takes what one process prints on one of its streams."""

    def write(self, data: bytes) -> None:
        """Never blocks for long and never raises."""

    def end(self) -> None:
        """Nothing more will come."""


class LineCutter:
    """Cuts the bytes of one stream into CRI log lines; keeps an unfinished line back."""

    def __init__(self, stream: str) -> None:
        self._full = f" {stream} F ".encode()
        self._piece = f" {stream} P ".encode()
        self._rest = b""
        """What came after the last newline; shorter than PIECE."""

    def cut(self, data: bytes, now: bytes) -> bytes:
        """The log lines that `data` completes, each stamped with `now`."""
        *lines, rest = (self._rest + data).split(b"\n")
        out: list[bytes] = []
        for line in lines:
            line = self._pieces(line, now, out)
            out += (now, self._full, line, b"\n")
        self._rest = self._pieces(rest, now, out)
        return b"".join(out)

    def end(self, now: bytes) -> bytes:
        """The unfinished line, if there is one, as a piece: it had no newline."""
        rest, self._rest = self._rest, b""
        return b"".join((now, self._piece, rest, b"\n")) if rest else b""

    def _pieces(self, line: bytes, now: bytes, out: list[bytes]) -> bytes:
        start = 0
        while len(line) - start > PIECE:
            out += (now, self._piece, line[start : start + PIECE], b"\n")
            start += PIECE
        return line[start:] if start else line


def timestamp(seconds: float) -> bytes:
    """RFC 3339 with nanoseconds, in UTC."""
    whole = int(seconds)
    prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{prefix}.{int((seconds - whole) * 1e9):09d}Z".encode()


class LogFile:
    """One container's log: `path`, and up to `files` - 1 older ones named `path.1`, `path.2`, …"""

    def __init__(self, path: str, wall_clock: WallClock, max_bytes: int, files: int) -> None:
        """Raises OSError if `path` cannot be written."""
        self._path = path
        self._wall_clock = wall_clock
        self._max_bytes = max_bytes
        self._files = files
        self._fd = -1
        self._lost = False
        self._writers = 2
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        self.reopen()

    def stream(self, name: str) -> Sink:
        """The sink of `stdout` or `stderr`. Both must be taken, and the file closes after both."""
        return _LogStream(self, LineCutter(name))

    def now(self) -> bytes:
        return timestamp(self._wall_clock())

    def reopen(self) -> None:
        """Go on in a new file if somebody moved the old one away."""
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._size = os.fstat(fd).st_size

    def append(self, lines: bytes) -> None:
        if not lines or self._fd < 0:
            return
        try:
            if self._size and self._size + len(lines) > self._max_bytes:
                self._rotate()
            self._size += os.write(self._fd, lines)
            self._lost = False
        except OSError as error:
            # The pod must not suffer: its output is lost, and said so once.
            if not self._lost:
                log.error("losing output, cannot write %s: %s", self._path, error)
            self._lost = True

    def writer_ended(self) -> None:
        self._writers -= 1
        if self._writers == 0 and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _rotate(self) -> None:
        for number in range(self._files - 2, 0, -1):
            if os.path.exists(f"{self._path}.{number}"):
                os.replace(f"{self._path}.{number}", f"{self._path}.{number + 1}")
        if self._files > 1:
            os.replace(self._path, f"{self._path}.1")
        else:
            os.unlink(self._path)
        self.reopen()


class _LogStream:
    def __init__(self, file: LogFile, cutter: LineCutter) -> None:
        self._file = file
        self._cutter = cutter

    def write(self, data: bytes) -> None:
        self._file.append(self._cutter.cut(data, self._file.now()))

    def end(self) -> None:
        self._file.append(self._cutter.end(self._file.now()))
        self._file.writer_ended()


class Discard:
    """A sink for output that nobody wants."""

    def write(self, data: bytes) -> None:
        pass

    def end(self) -> None:
        pass


class Capture:
    """Keeps the first `limit` bytes; what follows is read and thrown away (CVE-2022-1708)."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if self._left > 0:
            self._parts.append(data[: self._left])
            self._left -= len(self._parts[-1])

    def end(self) -> None:
        pass

    def content(self) -> bytes:
        return b"".join(self._parts)


class Pump:
    """Moves what arrives in a pipe into a sink, whenever the event loop says that it is readable.

    `watch(fd, callback)` and `unwatch(fd)` are the loop's `add_reader` and `remove_reader`.
    """

    def __init__(
        self,
        fd: int,
        sink: Sink,
        watch: Callable[[int, Callable[[], object]], object],
        unwatch: Callable[[int], object],
    ) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._sink = sink
        self._unwatch = unwatch
        self.open = True
        watch(fd, self._readable)

    def drain(self) -> None:
        """Take what is in the pipe now: everything that a process printed before it ended."""
        # More than a pipe holds by default (64 KiB); a bound, as another may go on printing.
        for _ in range(4):
            if not self.open or not self._readable():
                return

    def close(self) -> None:
        if self.open:
            self.open = False
            self._unwatch(self._fd)
            os.close(self._fd)
            self._sink.end()

    def _readable(self) -> bool:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return False
        except OSError as error:
            log.error("reading a process's output failed: %s", error)
            data = b""
        if data:
            self._sink.write(data)
            return True
        self.close()
        return False
