"""A new data directory from a saved snapshot: a new cluster, with new ids, that begins with it.

Every member is restored from the same file, each into a directory of its own, with the same list
of members. Their ids are derived from that list and the token, so all agree, and nobody of the
former cluster can be taken for a member of the new one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.replica.members.bootstrap import cluster_id_of, member_id_of
from podling.controlplane.replica.members.membership import Member, Membership, configuration_of
from podling.controlplane.store.machine.alarms import Alarms
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.offline import saved_snapshot
from podling.controlplane.store.offline.errors import OfflineError
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import RESTORED_INDEX, DataDir
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.part_file import PART_SUFFIX
from podling.controlplane.wal.segments import Identity
from podling.controlplane.wal.snapshot_file import SnapshotPart

_FIRST_TERM = 1
"""Of the one entry that everything restored counts as."""


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What to restore, and as which member of which cluster."""

    snapshot: Path
    data_dir: Path
    name: str
    cluster: Mapping[str, Sequence[str]]
    """Peer URLs of all members by name."""
    token: str
    peer_urls: Sequence[str]
    """Of this member; the same as in `cluster`."""
    check_hash: bool = True
    bump_revision: int = 0
    """Added to the revision, so that no client sees one twice."""
    mark_compacted: bool = False
    """Let every watch and cache begin anew, by compacting at the new revision."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was made."""

    identity: Identity
    revision: int
    keys: int


def restore(disk: Disk, request: RestoreRequest) -> Restored:
    """Make the directory, or nothing. Raises OfflineError."""
    _check(disk, request)
    machine = _state(disk, request)
    members = {
        member_id_of(urls, request.token): Member(name, tuple(urls))
        for name, urls in request.cluster.items()
    }
    identity = Identity(
        cluster_id_of(members), member_id_of(request.cluster[request.name], request.token)
    )
    part = request.data_dir.with_name(request.data_dir.name + PART_SUFFIX)
    _clear(disk, part)
    configuration = configuration_of(Membership(members))
    _write(disk, part, identity, SnapshotMeta(RESTORED_INDEX, _FIRST_TERM, configuration), machine)
    disk.rename(part, request.data_dir)
    keys = sum(1 for _ in machine.store.live_records())
    return Restored(identity, machine.store.revision, keys)


def _check(disk: Disk, request: RestoreRequest) -> None:
    if disk.exists(request.data_dir) and disk.list_files(request.data_dir):
        raise OfflineError(
            f"data directory {request.data_dir} is not empty; name one that does not exist"
        )
    if request.name not in request.cluster:
        raise OfflineError(
            f"--initial-cluster lists {', '.join(request.cluster)}, but not {request.name!r}"
        )
    listed = request.cluster[request.name]
    if set(listed) != set(request.peer_urls):
        raise OfflineError(
            f"--initial-cluster has {','.join(listed)} for {request.name}, but "
            f"--initial-advertise-peer-urls has {','.join(request.peer_urls)}: they must be equal"
        )
    if bool(request.bump_revision) != request.mark_compacted:
        raise OfflineError("--bump-revision and --mark-compacted must be given together")
    if not 0 <= request.bump_revision < 1 << 62:
        raise OfflineError(f"--bump-revision {request.bump_revision} must be a positive number")


def _state(disk: Disk, request: RestoreRequest) -> StoreStateMachine:
    """The state as the new cluster begins with it."""
    machine = StoreStateMachine(lambda: 0.0, max_pending_bytes=0)
    saved_snapshot.load(
        disk,
        request.snapshot,
        lambda chunks: machine.take(machine.load(chunks)),
        check_hash=request.check_hash,
    )
    # They were of members that are not in the new cluster.
    machine.alarms = Alarms()
    machine.store.revision += request.bump_revision
    if request.mark_compacted:
        machine.store.compact(machine.store.revision)
    return machine


def _clear(disk: Disk, part: Path) -> None:
    """Remove what a restore left that did not come to its end."""
    for directory in (part, part / "wal", part / "snapshots"):
        if not disk.exists(directory):
            continue
        for name in disk.list_files(directory):
            if name not in ("wal", "snapshots"):
                disk.remove(directory / name)


def _write(
    disk: Disk, path: Path, identity: Identity, snapshot: SnapshotMeta, machine: StoreStateMachine
) -> None:
    data_dir = DataDir.open(disk, path, identity)
    try:
        part = SnapshotPart(disk, data_dir.snapshots_path, snapshot)
        for data in snapshot_file.encode(identity.cluster_id, snapshot, machine.snapshot()):
            part.write(data)
        part.finish(identity.cluster_id)
    finally:
        data_dir.close()
