"""The file that `snapshot save` writes: the state as one member has it, then its SHA-256.

As etcd's: Maintenance.Snapshot streams both, and the file is what was streamed. The state is that
of `machine.snapshots`; a file of etcd itself, which is a bbolt database, is refused.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from podling.controlplane.store.machine import snapshots
from podling.controlplane.store.offline.errors import OfflineError
from podling.controlplane.store.offline.snapshot_inspection import summarise
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.part_file import PartFile

T = TypeVar("T")

HASH_SIZE = hashlib.sha256().digest_size
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class SnapshotStatus:
    """What `snapshot status` tells, in etcd's terms."""

    hash: int
    """First four bytes of the SHA-256 of the state."""
    revision: int
    total_key: int
    """Keys as of `revision`."""
    total_size: int
    """Bytes of the file."""


class SnapshotWriter(PartFile):
    """Writes what is streamed beside its place, checks it, and puts it there."""

    def __init__(self, disk: Disk, path: Path) -> None:
        """Raises OfflineError if something is there already."""
        if disk.exists(path):
            raise OfflineError(f"{path} exists; remove it, or save to another file")
        super().__init__(disk, path)

    def finish(self) -> None:
        """Make it durable under its name; raises OfflineError if the hash does not match."""
        if not self.size:
            raise OfflineError("there is nothing in it")
        self.sync()
        hash_state(self._disk, self.path)
        self.name()


def read_state(disk: Disk, path: Path) -> Iterator[bytes]:
    """The pieces of state in the file; raises OfflineError at the end, if the hash is wrong."""
    checksum, at_end = hashlib.sha256(), b""
    for piece, held in _split(disk, path):
        checksum.update(piece)
        at_end = held
        yield piece
    if len(at_end) < HASH_SIZE:
        raise OfflineError(f"{path} is too short to be a saved snapshot: save it again")
    if checksum.digest() != at_end:
        raise OfflineError(
            f"{path} is damaged: its SHA-256 is {checksum.hexdigest()}, but should be "
            f"{at_end.hex()}. Save it again; if it is a state without a hash, add "
            "--skip-hash-check"
        )


def _split(disk: Disk, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """The pieces before the hash; with each, what is held back as it may be the hash."""
    held = b""
    for chunk in disk.read_chunks(path, _PIECE):
        held += chunk
        piece, held = held[:-HASH_SIZE], held[-HASH_SIZE:]
        yield piece, held


def load(
    disk: Disk, path: Path, read: Callable[[Iterable[bytes]], T], *, check_hash: bool = True
) -> T:
    """What `read` makes of the pieces of state in the file. Raises OfflineError.

    Without `check_hash` it may be a state alone, with no hash behind it.
    """
    if not disk.exists(path):
        raise OfflineError(f"{path} does not exist")
    if check_hash:
        # First of all, so that a damaged file is called damaged and not something else.
        hash_state(disk, path)
    try:
        return read(piece for piece, _ in _split(disk, path))
    except ValueError as error:
        if not check_hash:
            with contextlib.suppress(ValueError):
                return read(disk.read_chunks(path, _PIECE))
        raise OfflineError(f"{path} cannot be read: {error}") from error


def hash_state(disk: Disk, path: Path) -> tuple[bytes, int]:
    """SHA-256 of the state in the file, and the size of the file; raises OfflineError."""
    checksum, size = hashlib.sha256(), HASH_SIZE
    for piece in read_state(disk, path):
        checksum.update(piece)
        size += len(piece)
    return checksum.digest(), size


def status(disk: Disk, path: Path) -> SnapshotStatus:
    """Raises OfflineError if the file is damaged in any way."""
    summary = summarise(load(disk, path, snapshots.read))
    digest, size = hash_state(disk, path)
    return SnapshotStatus(int.from_bytes(digest[:4], "big"), summary.revision, summary.keys, size)
