"""One member's data directory: locked, versioned, bound to its cluster and member id."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.raft.storage import StoredState
from podling.controlplane.wal import log_reader, snapshot_file
from podling.controlplane.wal.disk import Disk, Lock
from podling.controlplane.wal.errors import Damaged, DataDirectoryError
from podling.controlplane.wal.log_writer import LogWriter
from podling.controlplane.wal.segments import Identity

log = logging.getLogger(__name__)

FORMAT = 1
_LOCK = "lock"
_IDENTITY = "member.json"
_SNAPSHOTS_KEPT = 2
"""The newest, and one to fall back to; the log is kept from the older one on."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a start finds in the directory."""

    stored: StoredState
    snapshot_path: Path | None
    """File of `stored.snapshot`, checked; None if there is none yet."""
    writer: LogWriter
    """Where to go on; its `open` job is to be run first."""


class DataDir:
    """An opened data directory. Reading is done at once, before anything else runs."""

    def __init__(self, disk: Disk, path: Path, identity: Identity, lock: Lock) -> None:
        self.disk = disk
        self.path = path
        self.identity = identity
        self._lock = lock

    @property
    def log_path(self) -> Path:
        return self.path / "wal"

    @property
    def snapshots_path(self) -> Path:
        return self.path / "snapshots"

    @classmethod
    def open(cls, disk: Disk, path: Path, identity: Identity) -> "DataDir":
        """Lock the directory, made if it is missing; raises DataDirectoryError."""
        for directory in (path, path / "wal", path / "snapshots"):
            disk.make_directory(directory)
        try:
            lock = disk.lock(path / _LOCK)
        except BlockingIOError as error:
            raise DataDirectoryError(
                f"data directory {path} is in use by another process; stop that one, or give this "
                "member a directory of its own"
            ) from error
        data_dir = cls(disk, path, identity, lock)
        try:
            data_dir._check_identity()
        except BaseException:
            lock.release()
            raise
        return data_dir

    def close(self) -> None:
        self._lock.release()

    def recover(self, first: StoredState) -> Recovered:
        """Read everything back; `first` is the state of a member that never ran.

        Raises Damaged. A snapshot that cannot be read is passed over if there is an older one.
        """
        self._remove_parts()
        contents = log_reader.read_log(self.disk, self.log_path, self.identity)
        if contents.torn is not None:
            log.warning(
                "%s: the last record is incomplete, cut off at byte %d: the process or the machine "
                "stopped while it was written, so it was never acknowledged",
                contents.segments[-1].path, contents.torn,
            )  # fmt: skip
        snapshot, path = self._newest_snapshot(first.snapshot)
        entries, base_term = log_reader.with_base(contents.entries, snapshot)
        if entries and entries[0].index > snapshot.index + 1:
            raise DataDirectoryError(
                f"data directory {self.path} is incomplete: the newest readable snapshot ends at "
                f"entry {snapshot.index}, but the log begins with {entries[0].index}. Restore the "
                "missing snapshot from a copy, or remove the directory and add the member anew"
            )
        stored = StoredState(snapshot, contents.hard_state, entries, base_term)
        writer = LogWriter(self.disk, self.log_path, contents)
        return Recovered(stored, path, writer)

    def remove_old_snapshots(self) -> int:
        """Remove all but the newest two; return the index up to which the older one reaches."""
        found = snapshot_file.names(self.disk, self.snapshots_path)
        for name in found[_SNAPSHOTS_KEPT:]:
            self.disk.remove(name.path)
        return found[:_SNAPSHOTS_KEPT][-1].index if len(found) >= _SNAPSHOTS_KEPT else 0

    def _newest_snapshot(self, first: SnapshotMeta) -> tuple[SnapshotMeta, Path | None]:
        damage: Damaged | None = None
        for name in snapshot_file.names(self.disk, self.snapshots_path):
            try:
                return snapshot_file.check(
                    self.disk, name.path, self.identity.cluster_id
                ), name.path
            except Damaged as error:
                log.error("%s", error)
                damage = damage or error
        if damage is not None:
            raise damage
        return first, None

    def _remove_parts(self) -> None:
        for directory in (self.log_path, self.snapshots_path):
            for name in self.disk.list_files(directory):
                if name.endswith(snapshot_file.PART_SUFFIX):
                    self.disk.remove(directory / name)

    def _check_identity(self) -> None:
        path = self.path / _IDENTITY
        if not self.disk.exists(path):
            self._write_identity(path)
            return
        found = _parse_identity(path, self.disk.read(path))
        if found != self.identity:
            raise DataDirectoryError(
                f"data directory {self.path} belongs to {found}, but this is {self.identity}; give "
                "it the directory that is its own"
            )

    def _write_identity(self, path: Path) -> None:
        if self.disk.list_files(self.log_path):
            raise DataDirectoryError(
                f"data directory {self.path} has a log, but {_IDENTITY} is missing; restore it "
                "from a copy"
            )
        text = json.dumps(
            {
                "format": FORMAT,
                "cluster_id": f"{self.identity.cluster_id:x}",
                "member_id": f"{self.identity.member_id:x}",
            },
            indent=2,
        )
        part = path.with_name(path.name + snapshot_file.PART_SUFFIX)
        file = self.disk.open(part)
        file.truncate(0)
        file.write(0, text.encode() + b"\n", sync=True)
        file.close()
        self.disk.rename(part, path)


def _parse_identity(path: Path, data: bytes) -> Identity:
    try:
        fields = json.loads(data)
        if fields["format"] > FORMAT:
            raise DataDirectoryError(
                f"{path} has format {fields['format']}, but this program knows {FORMAT}: it was "
                "written by a newer version; upgrade this one"
            )
        return Identity(int(fields["cluster_id"], 16), int(fields["member_id"], 16))
    except (ValueError, KeyError, TypeError) as error:
        raise DataDirectoryError(
            f"{path} cannot be read ({error}); restore it from a copy"
        ) from error
