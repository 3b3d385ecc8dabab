"""A disk in memory that loses, tears and refuses as real ones do, behind the log's `Disk`.

Like an operating system it has a page cache. What is written is seen by every reader at once, and
survives a power loss only if it was synced:

* of bytes not synced, each sector (512 bytes) survives or not, as the dice fall: writes are torn;
* a file that was created, renamed or removed may be as before, until its directory is synced;
* a sync that fails forgets what it was to write: the next one succeeds, and the bytes are in the
  cache and perhaps nowhere else (Rebello et al., "Can Applications Recover from fsync Failures?").

When the process ends alone (`kill`) the cache stays; when the power goes (`crash`) it does not.
Every choice is drawn from the dice handed in: the same seed loses the same bytes.
"""

import asyncio
import errno
import os
import random
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from podling.controlplane.wal.disk import OnDone
from podling.simulate.disk_content import Content
from podling.simulate.network import Delay

_STEPS_IN_A_JOB = (3, 5, 10)
"""A job that is under way when the process dies gets less far than one of these."""


class PowerLost(BaseException):
    """The process that called is no more; nothing it does reaches the disk."""


class MemoryDisk:
    """Implements `wal.disk.Disk`. What goes wrong is set in its attributes, at any time."""

    def __init__(
        self, dice: random.Random, *, latency: Delay | None = None, capacity: int | None = None
    ) -> None:
        self.dice = dice
        self.latency = latency or Delay()
        """What a job of a worker takes, in seconds of the event loop."""
        self.capacity = capacity
        """Bytes that all files may have together; None for any. More gets ENOSPC."""
        self.failing_syncs = 0
        """So many of the next syncs fail with EIO."""
        self.ignores_syncs = False
        """Whether it says that it synced, and does not: a planted bug."""
        self.hides_damage = False
        """Whether what follows a flipped bit is read as if never written: a planted bug."""
        self.steps = 0
        """Things done so far between which the power can go; see `cut_after`."""
        self._cut_at: int | None = None
        self._life = 0
        self._root = Path("/")
        self._directories = {self._root}
        self._names: dict[Path, Content] = {}
        self._durable_names: dict[Path, Content] = {}
        self._journal: list[tuple[Path, dict[Path, Content | None]]] = []
        """Changes of names, each with its directory, that no sync has made durable."""
        self._locked: set[Path] = set()
        self._workers: list[LoopWorker] = []

    # What goes wrong.

    def crash(self) -> None:
        """The power goes, and comes back: only what was durable is there, and some of the rest."""
        self._end_life()
        for _, changes in self._journal:
            if self.dice.random() < 0.5:
                _change(self._durable_names, changes)
        self._journal.clear()
        self._names = dict(self._durable_names)
        for content in self._names.values():
            content.lose(self.dice)

    def kill(self) -> None:
        """The process ends, and the machine goes on: everything written is there."""
        self._end_life()

    def cut_after(self, steps: int | None) -> None:
        """After so many more steps every call raises PowerLost, until `crash` or `kill`. None: not
        after all."""
        self._cut_at = None if steps is None else self.steps + steps

    @property
    def is_cut(self) -> bool:
        """Whether the power has gone, and `crash` or `kill` is to follow."""
        return self._cut_at is not None and self.steps >= self._cut_at

    def flip_bit(self, path: Path, offset: int | None = None) -> int:
        """Damage one bit of a file that is not empty, by dice or at `offset`; return where.

        It stays so until something is written there.
        """
        content = self._content(path)
        at = self.dice.randrange(len(content.cached)) if offset is None else offset
        content.flip(at, 1 << self.dice.randrange(8))
        return at

    def flip_any_bit(self) -> tuple[Path, int] | None:
        """Damage one bit of what was written to any file; return where, None if there is none."""
        written = {path: each.written for path, each in self._names.items() if each.written}
        if not written:
            return None
        path = self.dice.choice(sorted(written))
        return path, self.flip_bit(path, self.dice.randrange(written[path]))

    @property
    def is_damaged(self) -> bool:
        """Whether any bit of a file is not what was written."""
        return any(content.is_damaged for content in self._names.values())

    def mend(self) -> None:
        """Every bit is again what was written, as if restored from a copy."""
        for content in {*self._names.values(), *self._durable_names.values()}:
            content.mend()

    def _end_life(self) -> None:
        """Whoever holds files, locks and workers is dead; a job under way gets somewhere."""
        for worker in self._workers:
            job = worker.die()
            if job is not None and self.dice.random() < 0.7:
                self.cut_after(self.dice.randrange(self.dice.choice(_STEPS_IN_A_JOB)))
                _run_until_dead(job)
        self._workers.clear()
        self._locked.clear()
        self._cut_at = None
        self._life += 1

    # Files and directories.

    def make_directory(self, path: Path) -> None:
        self.step()
        if path in self._names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self._directories |= {path, *path.parents}

    def list_files(self, path: Path) -> list[str]:
        self._check_directory(path)
        inside = [*self._names, *self._directories]
        return sorted(each.name for each in inside if each.parent == path and each != path)

    def exists(self, path: Path) -> bool:
        return path in self._names or path in self._directories

    def read(self, path: Path) -> bytes:
        content = self._content(path)
        return content.read_up_to_damage() if self.hides_damage else content.read()

    def size(self, path: Path) -> int:
        return len(self._content(path).cached)

    def read_chunks(self, path: Path, size: int, start: int = 0) -> Iterator[bytes]:
        content = self._content(path)
        offset = start
        while chunk := content.read(offset, offset + size):
            yield chunk
            offset += len(chunk)

    def open(self, path: Path) -> "MemoryFile":
        self._check_directory(path.parent)
        if path not in self._names:
            self.step()
            self._rename({path: Content()}, path.parent)
        return MemoryFile(self, self._names[path], self._life)

    def rename(self, source: Path, target: Path) -> None:
        self.step()
        self._rename({target: self._content(source), source: None}, target.parent)
        self.sync_directory(target.parent)

    def remove(self, path: Path) -> None:
        self.step()
        self._content(path)
        self._rename({path: None}, path.parent)

    def sync_directory(self, path: Path) -> None:
        self._check_directory(path)
        self.sync_step()
        if self.ignores_syncs:
            return
        for directory, changes in self._journal:
            if directory == path:
                _change(self._durable_names, changes)
        self._journal = [each for each in self._journal if each[0] != path]

    def lock(self, path: Path) -> "MemoryLock":
        self.open(path)
        if path in self._locked:
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), str(path))
        self._locked.add(path)
        return MemoryLock(self, path, self._life)

    def start_worker(self, name: str) -> "LoopWorker":
        worker = LoopWorker(self)
        self._workers.append(worker)
        return worker

    # For the parts below.

    def step(self, life: int | None = None) -> None:
        """The power may go here."""
        if life is not None and life != self._life:
            raise PowerLost("the process that opened this file has ended")
        if self.is_cut:
            raise PowerLost("the power was cut")
        self.steps += 1

    def sync_step(self, life: int | None = None) -> None:
        """The power may go here, and a sync may fail."""
        self.step(life)
        if self.failing_syncs:
            self.failing_syncs -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    @property
    def used(self) -> int:
        """Bytes of all files."""
        return sum(len(content.cached) for content in set(self._names.values()))

    def room(self) -> int | None:
        """Bytes that can still be allocated."""
        return None if self.capacity is None else max(self.capacity - self.used, 0)

    def unlock(self, path: Path, life: int) -> None:
        if life == self._life:
            self._locked.discard(path)

    def _rename(self, changes: dict[Path, Content | None], directory: Path) -> None:
        _change(self._names, changes)
        self._journal.append((directory, changes))

    def _content(self, path: Path) -> Content:
        try:
            return self._names[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None

    def _check_directory(self, path: Path) -> None:
        if path not in self._directories:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


class MemoryFile:
    """Implements `wal.disk.File`."""

    def __init__(self, disk: MemoryDisk, content: Content, life: int) -> None:
        self._disk = disk
        self._content = content
        self._life = life
        self._closed = False

    def write(self, offset: int, data: bytes, *, sync: bool) -> None:
        self._check()
        self._disk.step(self._life)
        room, end = self._disk.room(), offset + len(data)
        missing = end - len(self._content.cached)
        if room is not None and missing > room:
            self._content.write(offset, data[: max(len(data) - missing + room, 0)])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._content.write(offset, data)
        if sync:
            self._sync(offset, end)

    def truncate(self, size: int) -> None:
        self._check()
        self._disk.step(self._life)
        self._content.truncate(size)
        self._sync(0, None)

    def sync(self) -> None:
        self._check()
        self._sync(0, None)

    def close(self) -> None:
        self._check()
        self._closed = True

    def _sync(self, offset: int, end: int | None) -> None:
        try:
            self._disk.sync_step(self._life)
        except OSError:
            self._content.fail_sync(self._disk.dice)
            raise
        if not self._disk.ignores_syncs:
            self._content.sync(offset, end)

    def _check(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class MemoryLock:
    """Implements `wal.disk.Lock`."""

    def __init__(self, disk: MemoryDisk, path: Path, life: int) -> None:
        self._disk = disk
        self._path = path
        self._life = life

    def release(self) -> None:
        self._disk.unlock(self._path, self._life)


class LoopWorker:
    """Implements `wal.disk.Worker` on the event loop, whose time may be virtual.

    A job's effects are there when its time is up, and `done` is called at once; if the process dies
    before, the job got somewhere or nowhere.
    """

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[tuple[Callable[[], None], OnDone]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._dead = False

    def submit(self, job: Callable[[], None], done: OnDone) -> None:
        if not self._dead:
            self._jobs.append((job, done))
            self._wait()

    def close(self) -> None:
        self._stop_timer()
        while self._jobs:
            self._run_first()

    def die(self) -> Callable[[], None] | None:
        """Run nothing any more; return the job that was under way."""
        self._dead = True
        self._stop_timer()
        jobs, self._jobs = self._jobs, deque()
        return jobs[0][0] if jobs else None

    def _wait(self) -> None:
        if self._timer is None and self._jobs:
            latency = self._disk.latency
            seconds = self._disk.dice.uniform(latency.least, latency.most)
            self._timer = self._loop.call_later(seconds, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._run_first()
        self._wait()

    def _run_first(self) -> None:
        job, done = self._jobs[0]
        error: BaseException | None = None
        try:
            job()
        except PowerLost:
            return
        except BaseException as raised:  # noqa: BLE001 - reported to whoever gave the job
            error = raised
        finally:
            # What the job submits stands behind it, and a crash in it finds it under way no more.
            self._jobs.popleft()
        done(error)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _run_until_dead(job: Callable[[], None]) -> None:
    """Run what a process had under way, as far as it gets."""
    try:
        job()
    except (PowerLost, Exception):  # noqa: BLE001 - whatever it is, nobody is there to be told
        return


def _change(names: dict[Path, Content], changes: dict[Path, Content | None]) -> None:
    for path, content in changes.items():
        if content is None:
            names.pop(path, None)
        else:
            names[path] = content
