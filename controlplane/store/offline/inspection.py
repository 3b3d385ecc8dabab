"""What a data directory holds: whose it is, its log, its snapshots, and whether it would start.

Reads through `Disk` and writes nothing.
"""

from dataclasses import dataclass, field
from pathlib import Path

from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.store.offline.errors import OfflineError
from podling.controlplane.store.offline.log_inspection import LogReport, Problem, inspect_log
from podling.controlplane.store.offline.snapshot_inspection import (
    SnapshotReport,
    inspect_snapshot,
    whole,
)
from podling.controlplane.wal import data_dir, snapshot_file
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.errors import LOG_REMEDY, SNAPSHOT_REMEDY, DataDirectoryError
from podling.controlplane.wal.segments import Identity

_PART_REMEDY = "Nothing: it is being written, or was; the next start removes it"
_PASSED_OVER_REMEDY = "Nothing: a start has passed it over for an older one. Remove it if you like"
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

    def configuration(self) -> tuple[int, Configuration] | None:
        """The newest one, committed or not, and the entry that it is of."""
        in_log = self.log.configuration()
        metas = [report.meta for report in whole(self.snapshots) if report.meta is not None]
        in_snapshot = (metas[0].index, metas[0].configuration) if metas else None
        found = [each for each in (in_log, in_snapshot) if each is not None]
        return max(found, key=lambda each: each[0]) if found else None


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
        part = file.endswith(snapshot_file.PART_SUFFIX)
        if part or file.endswith(data_dir.DAMAGED_SUFFIX):
            what = "it is not complete" if part else "it was damaged"
            remedy = _PART_REMEDY if part else _PASSED_OVER_REMEDY
            found.problems.append(Problem(directory / file, None, what, remedy, harmless=True))


def _check_complete(found: Inspection) -> None:
    """Whether the log goes on from the newest readable snapshot to what was committed."""
    entries = found.log.entries
    readable = whole(found.snapshots)
    begun = readable[0].meta.index if readable and readable[0].meta else 0
    what = ""
    if entries and entries[0].index > begun + 1:
        what = f"the newest readable snapshot ends with entry {begun}, but the log begins with "
        what += str(entries[0].index)
    last = max(begun, entries[-1].index if entries else 0)
    if last < found.log.hard_state.commit:
        what = f"{found.log.hard_state.commit} entries were committed, but it ends with {last}"
    if what:
        found.problems.append(Problem(found.path, None, what, LOG_REMEDY))
