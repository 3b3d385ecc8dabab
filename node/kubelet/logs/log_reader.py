"""Reads a container's log file: all of it, its end, or as it grows.

A followed log wakes up when the file is written (see file_watch) or when the container's state
changes; it ends when the container has ended and everything was read. A rotated file is followed
into its successor.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import BinaryIO

from podling.node.kubelet.logs import log_lines
from podling.node.kubelet.logs.file_watch import FileWatch
from podling.node.kubelet.logs.log_lines import LogFilter, LogOptions

BLOCK = 64 * 1024
"""Bytes that are read, and given on, in one go."""


async def read(
    path: Path, options: LogOptions, ended: Callable[[], bool], wake: asyncio.Event
) -> AsyncGenerator[bytes, None]:
    """The text that was asked for, in pieces.

    `wake` is set by the caller whenever `ended` may have changed. A file that is not there is
    empty, unless it comes while it is followed.
    """
    watch = FileWatch(path.parent, wake.set) if options.follow else None
    cursor = _Cursor(path, options)
    try:
        while True:
            # Before reading: what is written after this is seen in the next round.
            wake.clear()
            last_round = not options.follow or ended()
            while (text := cursor.read()) is not None:
                if text:
                    yield text
                await asyncio.sleep(0)
            if last_round or cursor.filter.full:
                return
            await wake.wait()
    finally:
        cursor.close()
        if watch is not None:
            watch.close()


class _Cursor:
    """Where one reader is in the log."""

    def __init__(self, path: Path, options: LogOptions) -> None:
        self._path = path
        self.filter = LogFilter(options)
        self._rest = b""
        self._file = _open(path)
        if self._file is not None and options.tail_lines is not None:
            self._file.seek(tail_offset(self._file, options.tail_lines))

    def read(self) -> bytes | None:
        """The output for the next block, possibly none of it; None if there is no more by now."""
        if self.filter.full:
            return None
        if self._file is None:
            self._file = _open(self._path)
        data = self._file.read(BLOCK) if self._file is not None else b""
        if not data:
            return b"" if self._rotated() else None
        records, self._rest = log_lines.split(self._rest + data)
        return b"".join(self.filter.text_of(record) for record in records)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _rotated(self) -> bool:
        """Whether there is a new file in the place of the one that was read to its end."""
        if self._file is None:
            return False
        try:
            same = os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False
        if same:
            return False
        self.close()
        self._file, self._rest = _open(self._path), b""
        return self._file is not None


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last `lines` lines of a log begin, in bytes; reads only as much as is needed."""
    size = file.seek(0, os.SEEK_END)
    length = BLOCK
    while True:
        start = max(0, size - length)
        file.seek(start)
        block = file.read(size - start)
        if start:
            first = block.find(b"\n") + 1
            start, block = start + first, block[first:]
        records, _ = log_lines.split(block)
        index, found = log_lines.tail_index(records, lines)
        if index > 0 or found >= lines or size <= length:
            return start + sum(len(record) + 1 for record in records[:index])
        length *= 4


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None
