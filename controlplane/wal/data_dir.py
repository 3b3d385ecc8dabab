"""One member's data directory: locked, versioned, bound to its cluster and member id."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.raft.storage import StoredState
from podling.controlplane.wal import checksums, log_reader, snapshot_file
from podling.controlplane.wal.disk import Disk, Lock
from podling.controlplane.wal.errors import Damaged, DataDirectoryError
from podling.controlplane.wal.log_reader import LogContents
from podling.controlplane.wal.log_writer import SEGMENT_BYTES, LogWriter
from podling.controlplane.wal.part_file import PART_SUFFIX
from podling.controlplane.wal.segments import Identity

log = logging.getLogger(__name__)

FORMAT = 2
"""Of all in the directory. It goes up when an earlier program could misread what this one writes:
2 brought CRC-32C, which one of format 1 takes for damage. Former ones are read, and raised."""
_LOCK = "lock"
IDENTITY = "member.json"
DAMAGED_SUFFIX = ".damaged"
"""Of a snapshot that could not be read, where an older one could."""
RESTORED_INDEX = 1
"""The snapshot's, in a directory that was made from a saved one and has had no member yet."""
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

    def __init__(
        self, disk: Disk, path: Path, identity: Identity, lock: Lock, segment_bytes: int
    ) -> None:
        self.disk = disk
        self.path = path
        self.identity = identity
        self._lock = lock
        self._segment_bytes = segment_bytes

    @property
    def log_path(self) -> Path:
        return self.path / "wal"

    @property
    def snapshots_path(self) -> Path:
        return self.path / "snapshots"

    @classmethod
    def open(
        cls, disk: Disk, path: Path, identity: Identity, segment_bytes: int = SEGMENT_BYTES
    ) -> "DataDir":
        """Lock the directory, made if it is missing; raises DataDirectoryError."""
        try:
            for directory in (path, path / "wal", path / "snapshots"):
                disk.make_directory(directory)
        except OSError as error:
            raise DataDirectoryError(
                f"data directory {path} cannot be made: {error.strerror or error}"
            ) from error
        try:
            lock = disk.lock(path / _LOCK)
        except BlockingIOError as error:
            raise DataDirectoryError(
                f"data directory {path} is in use by another process; stop that one, or give this "
                "member a directory of its own"
            ) from error
        if checksums.SLOW:
            log.warning("google-crc32c lacks its compiled part here: writing is slow")
        data_dir = cls(disk, path, identity, lock, segment_bytes)
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
        self._settle()
        contents = log_reader.read_log(self.disk, self.log_path, self.identity)
        if contents.torn is not None:
            log.warning(
                "%s: the last record is incomplete, cut off at byte %d: the process or the machine "
                "stopped while it was written, so it was never acknowledged",
                contents.segments[-1].path, contents.torn,
            )  # fmt: skip
        snapshot, path, damaged = self._newest_snapshot(first.snapshot)
        if not log_reader.continues(contents.entries, snapshot):
            log.warning(
                "%s: the log is void: the snapshot at entry %d was taken over, and the process "
                "ended before it could say so", self.log_path, snapshot.index,
            )  # fmt: skip
            log_reader.void(contents, snapshot)
        log_reader.enter_term(contents, snapshot)
        self._check_complete(contents, snapshot, damaged)
        self._set_aside(damaged)
        entries, base_term = log_reader.with_base(contents.entries, snapshot)
        stored = StoredState(snapshot, contents.hard_state, entries, base_term)
        writer = LogWriter(self.disk, self.log_path, contents, self._segment_bytes)
        return Recovered(stored, path, writer)

    def remove_old_snapshots(self) -> int:
        """Remove all but the newest two; return the index up to which the older one reaches."""
        found = snapshot_file.names(self.disk, self.snapshots_path)
        for name in found[_SNAPSHOTS_KEPT:]:
            self.disk.remove(name.path)
        return found[:_SNAPSHOTS_KEPT][-1].index if len(found) >= _SNAPSHOTS_KEPT else 0

    def _check_complete(
        self, contents: LogContents, snapshot: SnapshotMeta, damaged: Sequence[Path]
    ) -> None:
        """Whether everything is there from the snapshot to what was known to be committed."""
        entries, missing = contents.entries, ""
        if entries and entries[0].index > snapshot.index + 1:
            missing = f"but the log begins with {entries[0].index}"
        last = max(snapshot.index, entries[-1].index if entries else 0)
        if last < contents.hard_state.commit:
            missing = f"the log with {last}, but {contents.hard_state.commit} were committed"
        if not contents.segments and needs_log(snapshot):
            missing = "but there is no log"
        if missing:
            unread = "".join(f"; {each} cannot be read" for each in damaged)
            raise DataDirectoryError(
                f"data directory {self.path} is incomplete: the newest readable snapshot ends with "
                f"entry {snapshot.index}, {missing}{unread}. Restore what is missing from a copy; "
                "if there is none, remove the member from the cluster and add it anew"
            )

    def _newest_snapshot(
        self, first: SnapshotMeta
    ) -> tuple[SnapshotMeta, Path | None, Sequence[Path]]:
        """The newest that can be read, where it is, and the newer ones, which cannot."""
        damaged: list[tuple[Path, Damaged]] = []
        for name in snapshot_file.names(self.disk, self.snapshots_path):
            try:
                found = snapshot_file.check(self.disk, name.path, self.identity.cluster_id)
            except Damaged as error:
                log.error("%s", error)
                damaged.append((name.path, error))
            else:
                return found, name.path, [path for path, _ in damaged]
        if damaged:
            raise damaged[0][1]
        return first, None, ()

    def _set_aside(self, damaged: Sequence[Path]) -> None:
        """Snapshots without which nothing is missing must not count as ones to fall back to."""
        for path in damaged:
            self.disk.rename(path, path.with_name(path.name + DAMAGED_SUFFIX))

    def _settle(self) -> None:
        """Remove what was being written; make durable what the process before saw as renamed."""
        for directory in (self.log_path, self.snapshots_path):
            for name in self.disk.list_files(directory):
                if name.endswith(PART_SUFFIX):
                    self.disk.remove(directory / name)
            self.disk.sync_directory(directory)

    def _check_identity(self) -> None:
        path = self.path / IDENTITY
        if not self.disk.exists(path):
            if self.disk.list_files(self.log_path) or self.disk.list_files(self.snapshots_path):
                raise DataDirectoryError(
                    f"data directory {self.path} has data, but {IDENTITY} is missing; restore it "
                    "from a copy"
                )
            write_identity(self.disk, self.path, self.identity)
            return
        # The process that wrote it may have ended before it was durable.
        self.disk.sync_directory(self.path)
        found, version = parse_identity(path, self.disk.read(path))
        if found != self.identity:
            raise DataDirectoryError(
                f"data directory {self.path} belongs to {found}, but this is {self.identity}; give "
                "it the directory that is its own"
            )
        if version < FORMAT:
            log.info("%s goes from format %d to %d", self.path, version, FORMAT)
            write_identity(self.disk, self.path, self.identity)


def needs_log(snapshot: SnapshotMeta) -> bool:
    """Whether a directory whose newest snapshot this is cannot be without a log.

    Without it a member has forgotten what it voted, and which entries it acknowledged. One that is
    alone has promised nobody anything, and goes on as far as its snapshot does.
    """
    return snapshot.index > RESTORED_INDEX and len(snapshot.configuration.members) > 1


def write_identity(disk: Disk, directory: Path, identity: Identity) -> None:
    """Say durably whose data is in the directory."""
    fields = {
        "format": FORMAT,
        "cluster_id": f"{identity.cluster_id:x}",
        "member_id": f"{identity.member_id:x}",
    }
    path = directory / IDENTITY
    part = path.with_name(path.name + PART_SUFFIX)
    file = disk.open(part)
    file.truncate(0)
    file.write(0, json.dumps(fields, indent=2).encode() + b"\n", sync=True)
    file.close()
    disk.rename(part, path)


def parse_identity(path: Path, data: bytes) -> tuple[Identity, int]:
    """Whose data it is, and in which format; raises DataDirectoryError."""
    try:
        fields = json.loads(data)
        version = int(fields["format"])
        if version > FORMAT:
            raise DataDirectoryError(
                f"{path} has format {version}, but this program knows {FORMAT}: it was written by "
                "a newer version; upgrade this one"
            )
        ids = [int(fields[name], 16) for name in ("cluster_id", "member_id")]
        if not all(0 <= number < 1 << 64 for number in ids):
            raise ValueError("an id has at most 16 hexadecimal digits")
        identity = Identity(*ids)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataDirectoryError(
            f"{path} cannot be read ({error}); restore it from a copy"
        ) from error
    return identity, version
