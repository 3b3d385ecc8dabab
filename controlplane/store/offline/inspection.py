"""What a data directory holds: whose it is, its log, its snapshots, and whether it would start.

Reads through `Disk` and writes nothing.
"""

from dataclasses import dataclass, field
from pathlib import Path

from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.store.offline.errors import OfflineError
from podling.controlplane.store.offline.log_inspection import LogReport, Problem, inspect_log
from podling.controlplane.store.offline.snapshot_inspection import (
    SnapshotReport,
    inspect_snapshot,
    whole,
)
from podling.controlplane.wal import data_dir, log_reader, snapshot_file
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.errors import LOG_REMEDY, SNAPSHOT_REMEDY, DataDirectoryError
from podling.controlplane.wal.part_file import PART_SUFFIX
from podling.controlplane.wal.segments import Identity

_PART_REMEDY = "Nothing: it is being written, or was; the next start removes it"
_PASSED_OVER_REMEDY = "Nothing: a start has passed it over for an older one. Remove it if you like"
_NO_LOG_REMEDY = (
    "Nothing, if no member has run on the directory yet; otherwise restore it from a copy of this "
    "member's own"
)
_OLDER_REMEDY = "Nothing: a start takes the older snapshot and the log behind it"


@dataclass(slots=True)
class Inspection:
    """All that is known of a directory."""

    path: Path
    format: int | None = None
    identity: Identity | None = None
    """None if `member.json` cannot be read."""
    log: LogReport = field(default_factory=LogReport)
    snapshots: list[SnapshotReport] = field(default_factory=list)
    """Newest first."""
    problems: list[Problem] = field(default_factory=list)
    """Those of the log included."""

    @property
    def starts(self) -> bool:
        """Whether a member would start on it."""
        return all(problem.harmless for problem in self.problems)

    @property
    def newest(self) -> SnapshotMeta:
        """The newest snapshot that can be read."""
        readable = whole(self.snapshots)
        return (readable[0].meta if readable else None) or SnapshotMeta()

    @property
    def is_void(self) -> bool:
        """Whether the log does not go on from the newest snapshot: a start begins it anew."""
        return not log_reader.continues(self.log.entries, self.newest)

    @property
    def last_index(self) -> int:
        """Of all entries that a start would find."""
        if self.is_void or not self.log.entries:
            return self.newest.index
        return self.log.entries[-1].index

    def configuration(self) -> tuple[int, Configuration] | None:
        """The newest one, committed or not, and the entry that it is of."""
        in_log = None if self.is_void else self.log.configuration()
        in_snapshot = (self.newest.index, self.newest.configuration)
        if in_log is not None and in_log[0] > in_snapshot[0]:
            return in_log
        return in_snapshot if whole(self.snapshots) else None


def inspect(disk: Disk, path: Path) -> Inspection:
    """Raises OfflineError if `path` is no data directory, and OSError."""
    known = (data_dir.IDENTITY, "wal", "snapshots")
    if not disk.exists(path) or not any(disk.exists(path / name) for name in known):
        raise OfflineError(f"{path} is not the data directory of a member: it has no {known[0]}")
    found = Inspection(path)
    _read_identity(disk, found)
    found.log = inspect_log(disk, path / "wal")
    found.problems += found.log.problems
    if found.identity and found.log.identity not in (None, found.identity):
        what = f"the log belongs to {found.log.identity}, not to {found.identity}"
        found.problems.append(Problem(path / "wal", None, what, LOG_REMEDY))
    _read_snapshots(disk, found)
    if found.starts:
        _check_complete(found)
    return found


def _read_identity(disk: Disk, found: Inspection) -> None:
    path = found.path / data_dir.IDENTITY
    try:
        found.identity, found.format = data_dir.parse_identity(path, disk.read(path))
    except FileNotFoundError:
        what = "it is missing"
        found.problems.append(Problem(path, None, what, "Restore it from a copy"))
    except DataDirectoryError as error:
        found.problems.append(Problem(path, None, str(error), "See there"))


def _read_snapshots(disk: Disk, found: Inspection) -> None:
    directory = found.path / "snapshots"
    if not disk.exists(directory):
        return
    cluster_id = found.identity.cluster_id if found.identity else None
    for name in snapshot_file.names(disk, directory):
        try:
            found.snapshots.append(inspect_snapshot(disk, name.path, cluster_id))
        except FileNotFoundError:
            # A running member has just removed it, having newer ones.
            continue
    # The members that the cluster began with are no state to fall back to.
    readable = bool(whole(found.snapshots))
    for report in found.snapshots:
        if report.damage:
            remedy = _OLDER_REMEDY if readable else SNAPSHOT_REMEDY
            problem = Problem(report.path, report.offset, report.damage, remedy, harmless=readable)
            found.problems.append(problem)
    for file in disk.list_files(directory):
        part = file.endswith(PART_SUFFIX)
        if part or file.endswith(data_dir.DAMAGED_SUFFIX):
            what = "it is not complete" if part else "it was damaged"
            remedy = _PART_REMEDY if part else _PASSED_OVER_REMEDY
            found.problems.append(Problem(directory / file, None, what, remedy, harmless=True))


def _check_complete(found: Inspection) -> None:
    """Whether the log goes on from the newest readable snapshot to what was committed."""
    entries, begun = found.log.entries, found.newest.index
    if not found.log.segments:
        missed = data_dir.needs_log(found.newest)
        remedy = LOG_REMEDY if missed else _NO_LOG_REMEDY
        problem = Problem(found.path / "wal", None, "there is no log", remedy, harmless=not missed)
        found.problems.append(problem)
    if found.is_void:
        what = f"it does not go on from the snapshot at entry {begun}, which was taken over later"
        remedy = "Nothing: the next start begins it anew behind that snapshot"
        found.problems.append(Problem(found.path / "wal", None, what, remedy, harmless=True))
        return
    what = ""
    if entries and entries[0].index > begun + 1:
        what = f"the newest readable snapshot ends with entry {begun}, but the log begins with "
        what += str(entries[0].index)
    if found.last_index < found.log.hard_state.commit:
        what = f"{found.log.hard_state.commit} entries were committed, but it ends with "
        what += str(found.last_index)
    if what:
        found.problems.append(Problem(found.path, None, what, LOG_REMEDY))
