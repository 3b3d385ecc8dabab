"""A place for a listener's socket in the file system."""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

OTHERS = 0o077
"""What is taken from the mode of files while the socket is bound."""
MODE = 0o600


@contextlib.contextmanager
def private(path: Path) -> Iterator[None]:
    """Inside, somebody may bind a socket at `path`, for this process's user alone.

    One that a dead process has left there is removed. Raises OSError if a process listens there, if
    it is no socket, or none can be made there.
    """
    _clear(path)
    _try(path)
    before = os.umask(OTHERS)
    try:
        yield
    finally:
        os.umask(before)
    path.chmod(MODE)


def _clear(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "there is a file that is no socket")
    if _is_served(path):
        raise OSError(errno.EADDRINUSE, "another process listens there")
    path.unlink()


def _is_served(path: Path) -> bool:
    """Whether a process listens there, even one that is paused or too busy to answer."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.setblocking(False)
        return caller.connect_ex(str(path)) != errno.ECONNREFUSED


def _try(path: Path) -> None:
    """The library that is to bind it would not tell why it cannot."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    path.unlink()
