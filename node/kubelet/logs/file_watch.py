"""Tells when something in a directory is written, without asking again and again (inotify(7)).

Where the kernel has no watch left, it is asked five times a second instead, which serves as well.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path

IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_NONBLOCK = 0o4000
IN_CLOEXEC = 0o2000000

POLL = 0.2
"""Seconds between two wake-ups where inotify is not to be had."""
BUFFER = 64 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


class FileWatch:
    """Calls `changed` whenever a file in `directory` is written, made or moved there."""

    def __init__(self, directory: Path, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._descriptor = _watch(directory)
        if self._descriptor >= 0:
            self._loop.add_reader(self._descriptor, self._readable)
        else:
            self._poll()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _readable(self) -> None:
        # What happened is of no interest, only that something did.
        os.read(self._descriptor, BUFFER)
        self._changed()

    def _poll(self) -> None:
        self._changed()
        self._timer = self._loop.call_later(POLL, self._poll)


def _watch(directory: Path) -> int:
    """A readable descriptor, or -1."""
    try:
        descriptor: int = _libc.inotify_init1(IN_NONBLOCK | IN_CLOEXEC)
    except AttributeError:
        return -1
    if descriptor < 0:
        return -1
    mask = IN_MODIFY | IN_MOVED_TO | IN_CREATE
    if _libc.inotify_add_watch(descriptor, os.fsencode(directory), mask) < 0:
        os.close(descriptor)
        return -1
    return descriptor
