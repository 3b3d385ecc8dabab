"""The disk as the log needs it, and the real one: the only file here that touches `os`.

A simulation supplies its own `Disk` that loses what was not synced, tears writes and fails.
Every method may raise OSError.
"""

import errno
import fcntl
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

#: Told how a job ended: None, or what it raised.
OnDone = Callable[[BaseException | None], None]
#: Told how many seconds a write took that returned when it was durable, in the thread that wrote.
OnSynced = Callable[[float], None]


class File(Protocol):
    """An open file for writing at given offsets."""

    def write(self, offset: int, data: bytes, *, sync: bool) -> None:
        """Write `data`; with `sync` return only when these bytes survive a crash.

        What was written earlier without `sync` may still be lost.
        """

    def truncate(self, size: int) -> None:
        """Cut to `size` bytes and make that durable."""

    def sync(self) -> None:
        """Make everything written survive a crash."""

    def close(self) -> None: ...


class Lock(Protocol):
    """Held until released, or until the process ends."""

    def release(self) -> None: ...


class Worker(Protocol):
    """Runs jobs one after another, in the order given, beside the event loop."""

    def submit(self, job: Callable[[], None], done: OnDone) -> None:
        """Run `job`; then `done` is called, on whatever thread the job ran."""

    def close(self) -> None:
        """Finish what was submitted, and end. Idempotent."""


class Disk(Protocol):
    """Directories and files of one data directory."""

    def make_directory(self, path: Path) -> None:
        """Create `path` and its parents durably, for the owner only; no error if it exists."""

    def list_files(self, path: Path) -> list[str]:
        """Names in the directory, sorted."""

    def exists(self, path: Path) -> bool: ...

    def read(self, path: Path) -> bytes:
        """The whole file."""

    def size(self, path: Path) -> int:
        """Of the file, in bytes."""

    def read_chunks(self, path: Path, size: int, start: int = 0) -> Iterator[bytes]:
        """The file from byte `start` on, in pieces of at most `size` bytes."""

    def open(self, path: Path) -> File:
        """Open for writing, created with mode 0600 if missing; content is kept."""

    def rename(self, source: Path, target: Path) -> None:
        """Replace `target` by `source` atomically and durably."""

    def remove(self, path: Path) -> None: ...

    def sync_directory(self, path: Path) -> None:
        """Make the creation and removal of files in it survive a crash."""

    def lock(self, path: Path) -> Lock:
        """Lock the file exclusively; raises BlockingIOError if another process has it."""

    def start_worker(self, name: str) -> Worker:
        """A worker for jobs on this disk."""


class OsFile:
    """A file of the operating system. Its errors name it."""

    def __init__(self, path: Path, on_synced: OnSynced | None = None) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._on_synced = on_synced

    def write(self, offset: int, data: bytes, *, sync: bool) -> None:
        # One system call that writes and syncs lets go of the interpreter lock once, not twice:
        # a busy event loop may take milliseconds to give it back.
        flags = _WRITE_SYNCED if sync else 0
        began = time.perf_counter()
        view = memoryview(data)
        with self._named():
            while view:
                written = os.pwritev(self._handle, [view], offset, flags)
                view, offset = view[written:], offset + written
        if sync and not flags:
            self.sync()
        if sync and self._on_synced is not None:
            self._on_synced(time.perf_counter() - began)

    def truncate(self, size: int) -> None:
        with self._named():
            os.ftruncate(self._handle, size)
            os.fsync(self._handle)

    def sync(self) -> None:
        with self._named():
            os.fdatasync(self._handle)

    def close(self) -> None:
        os.close(self._handle)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # It may have been renamed since it was opened.
            name = os.readlink(f"/proc/self/fd/{self._handle}")
            raise OSError(error.errno, error.strerror, name) from error


_WRITE_SYNCED: int = getattr(os, "RWF_DSYNC", 0)


class OsLock:
    """An flock(2) on a file."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise

    def release(self) -> None:
        os.close(self._handle)


class ThreadWorker:
    """Runs jobs in a thread of its own, which ends with `close` or with the process."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], OnDone] | None]
        self._jobs = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None], done: OnDone) -> None:
        self._jobs.put((job, done))

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._jobs.get()) is not None:
            job, done = work
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - reported to whoever gave the job
                done(error)
            else:
                done(None)


class OsDisk:
    """The real disk; `on_synced` is told of each durable write, which are those of the log."""

    def __init__(self, on_synced: OnSynced | None = None) -> None:
        self._on_synced = on_synced

    def make_directory(self, path: Path) -> None:
        missing = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for made in missing:
            self.sync_directory(made.parent)

    def list_files(self, path: Path) -> list[str]:
        return sorted(os.listdir(path))

    def exists(self, path: Path) -> bool:
        return path.exists()

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def read_chunks(self, path: Path, size: int, start: int = 0) -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(start)
            while chunk := file.read(size):
                yield chunk

    def open(self, path: Path) -> File:
        return OsFile(path, self._on_synced)

    def rename(self, source: Path, target: Path) -> None:
        os.replace(source, target)
        self.sync_directory(target.parent)

    def remove(self, path: Path) -> None:
        path.unlink()

    def sync_directory(self, path: Path) -> None:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        except OSError as error:
            # Some file systems have no way to sync a directory, and need none.
            if error.errno != errno.EINVAL:
                raise
        finally:
            os.close(handle)

    def lock(self, path: Path) -> Lock:
        return OsLock(path)

    def start_worker(self, name: str) -> Worker:
        return ThreadWorker(name)
