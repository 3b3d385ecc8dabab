"""Who runs: a lock file for each process of the cluster, held for the process's whole life.

The kernel drops the lock when the process ends, however it ends; so a held lock is proof of life,
and the pid inside it can be signalled without hitting a stranger that got a recycled number.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


class AlreadyRunning(Exception):
    """Another process holds the lock."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock."""

    pid: int
    listener: int | None
    """Descriptor number of the shared API listener in that process, if it has it."""


def hold(path: Path, listener: int | None = None) -> int:
    """Take the lock for this process, and keep it until the process ends.

    Returns the descriptor, which is to be kept open. Raises AlreadyRunning.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    taken = False
    while not taken:
        if not _lock(descriptor, fcntl.LOCK_SH):
            os.close(descriptor)
            raise AlreadyRunning(f"{path.stem} runs already: {path} is held")
        os.ftruncate(descriptor, 0)  # lest an earlier holder be taken for this one
        # Those who look whether it is held may keep it for a moment.
        taken = _lock(descriptor, fcntl.LOCK_EX)
    os.pwrite(descriptor, json.dumps(asdict(Holder(os.getpid(), listener))).encode(), 0)
    return descriptor


def holder(path: Path) -> Holder | None:
    """The process that holds the lock now, or None."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _lock(descriptor, fcntl.LOCK_SH):
            return None
        return Holder(**json.loads(os.pread(descriptor, 4096, 0)))
    except ValueError:  # between taking the lock and writing into it
        return None
    finally:
        os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    """Whether it could be had now."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
