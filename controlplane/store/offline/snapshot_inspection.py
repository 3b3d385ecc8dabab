"""Reads the snapshot files of a member, and the state in them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.store.machine import snapshots
from podling.controlplane.store.machine.snapshots import Contents, SnapshotError
from podling.controlplane.store.requests import NO_END
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.errors import Damaged


@dataclass(frozen=True, slots=True)
class StateSummary:
    """The store in a snapshot, counted."""

    revision: int
    compact_revision: int
    keys: int
    """As of `revision`."""
    leases: int
    users: int
    roles: int
    cluster_version: int


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """One snapshot file."""

    path: Path
    size: int
    meta: SnapshotMeta | None
    """None if not even that can be read."""
    state: StateSummary | None
    """None if it cannot be read, or if there is none: the cluster begins there."""
    damage: str = ""
    """What is wrong with it, with the offset; empty if all checks hold."""
    offset: int | None = None


def inspect_snapshot(disk: Disk, path: Path, cluster_id: int | None) -> SnapshotReport:
    """Check the whole file, and read the state in it. Raises OSError only."""
    size = sum(len(chunk) for chunk in disk.read_chunks(path, snapshot_file.READ_BYTES))
    meta: SnapshotMeta | None = None
    state: StateSummary | None = None
    try:
        meta = snapshot_file.read_head(disk, path, cluster_id)
        pieces = snapshot_file.read_state(disk, path, cluster_id)
        if meta.index == 0:
            # The members that the cluster began with, before anything was written.
            list(pieces)
        else:
            state = summarise(snapshots.read(pieces))
    except Damaged as damaged:
        return SnapshotReport(path, size, meta, None, damaged.reason, damaged.offset)
    except SnapshotError as error:
        return SnapshotReport(path, size, meta, None, str(error))
    return SnapshotReport(path, size, meta, state)


def summarise(contents: Contents) -> StateSummary:
    return StateSummary(
        revision=contents.store.revision,
        compact_revision=max(contents.store.compact_revision, 0),
        keys=contents.store.count(NO_END, NO_END),
        leases=len(contents.leases),
        users=len(contents.auth.users),
        roles=len(contents.auth.roles),
        cluster_version=contents.cluster_version,
    )


def whole(reports: Iterable[SnapshotReport]) -> list[SnapshotReport]:
    """Those that can be read."""
    return [report for report in reports if not report.damage and report.meta is not None]
