"""Which member this is: the one its data directory belongs to, one that was added, or a new one.

As in etcd, a data directory that was used before wins over what the flags say of the cluster: they
describe a first start only. At a first start the others are asked, so that a member which has lost
its data does not begin again under its old name, having forgotten what it promised.
"""

import logging
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.errors import CannotJoin
from podling.controlplane.replica.members import bootstrap
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers import joining
from podling.controlplane.replica.peers.joining import Found
from podling.controlplane.replica.peers.peer_security import PeerTls
from podling.controlplane.wal import data_dir, segments
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.segments import Identity
from podling.launcher.errors import LauncherError
from podling.launcher.store.store_settings import StoreSettings

log = logging.getLogger(__name__)

ETCD_FOLDER = "member"
"""What etcd keeps its files in."""
PROPOSAL_OVERHEAD = 512 * 1024
"""What a replicated command may be larger than the request in it, as in etcd."""
JOIN_SECONDS = 5.0
"""How long a member that joins looks for the cluster."""


class StrangeDirectory(LauncherError):
    """The data directory is another program's, or none."""


class NotAMember(LauncherError):
    """The cluster does not know this member, or knows it as one that has begun already."""


async def replica_config(
    settings: StoreSettings,
    disk: Disk,
    tls: PeerTls | None,
    *,
    join_seconds: float = JOIN_SECONDS,
) -> ReplicaConfig:
    """Raises StrangeDirectory, NotAMember and DataDirectoryError."""
    _check_usable(settings.data_dir)
    _warn_if_open(settings.data_dir)
    kept = _kept(settings.data_dir, disk)
    if kept is not None:
        if not _has_log(settings.data_dir, disk):
            await _check_not_begun(settings, kept, tls, "has no log")
        return _config(settings, kept, _described(settings))
    if settings.join:
        found = await _find(settings, tls, join_seconds)
        identity = Identity(found.cluster_id, found.member_id)
        _refuse_begun(settings, identity, found, "is empty")
        return _config(settings, identity, found.membership.members)
    members = _described(settings)
    member_id = next(number for number, each in members.items() if each.name == settings.name)
    identity = Identity(bootstrap.cluster_id_of(members), member_id)
    await _check_not_begun(settings, identity, tls, "is empty")
    return _config(settings, identity, members)


def _config(
    settings: StoreSettings, identity: Identity, members: Mapping[int, Member]
) -> ReplicaConfig:
    described = members.get(identity.member_id)
    if described is None or (described.name != settings.name and not settings.join):
        # The flags describe another beginning; what is on disk tells of the others.
        members = {identity.member_id: Member(settings.name, _own_urls(settings))}
    return ReplicaConfig(
        name=settings.name,
        member_id=identity.member_id,
        cluster_id=identity.cluster_id,
        members=members,
        data_dir=settings.data_dir,
        heartbeat_interval=settings.heartbeat_interval,
        election_timeout=settings.election_timeout,
        snapshot_count=settings.snapshot_count,
        max_proposal_bytes=settings.max_request_bytes + PROPOSAL_OVERHEAD,
        join=settings.join,
        strict_reconfiguration=settings.strict_reconfiguration,
    )


def _check_usable(directory: Path) -> None:
    """Raises StrangeDirectory."""
    try:
        of_etcd = (directory / ETCD_FOLDER).exists()
        is_file = directory.exists() and not directory.is_dir()
    except OSError as error:
        raise StrangeDirectory(
            f"--data-dir {directory} cannot be used: {error.strerror}"
        ) from error
    if is_file:
        raise StrangeDirectory(f"--data-dir {directory} is not a directory")
    if of_etcd:
        raise StrangeDirectory(
            f"{directory} is a data directory of etcd, which is not read here: give this member a "
            "directory of its own with --data-dir"
        )


def _warn_if_open(directory: Path) -> None:
    """The files are for this user alone; but whoever may write beside them may take them away."""
    if not directory.exists():
        return
    mode = directory.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning(
            "--data-dir %s is open to other users (%s); the recommended permission is drwx------: "
            "chmod 700 it", directory, stat.filemode(mode),
        )  # fmt: skip


def _kept(directory: Path, disk: Disk) -> Identity | None:
    """Whose data directory it is; None if nobody has used it yet."""
    path = directory / data_dir.IDENTITY
    return data_dir.parse_identity(path, disk.read(path))[0] if disk.exists(path) else None


def _has_log(directory: Path, disk: Disk) -> bool:
    """Not so before a first start, after `snapshot restore`, and where the log was lost."""
    path = directory / "wal"
    names = disk.list_files(path) if disk.exists(path) else []
    return any(segments.parse_name(path / name) is not None for name in names)


def _described(settings: StoreSettings) -> dict[int, Member]:
    """The members that the flags describe, with etcd's ids."""
    described = {}
    for name, urls in settings.members.items():
        peer_urls = tuple(url.text for url in urls)
        described[bootstrap.member_id_of(peer_urls, settings.token)] = Member(name, peer_urls)
    return described


def _own_urls(settings: StoreSettings) -> tuple[str, ...]:
    return tuple(url.text for url in settings.advertised_peers)


def _all_urls(settings: StoreSettings) -> list[str]:
    return [url.text for urls in settings.members.values() for url in urls]


async def _find(settings: StoreSettings, tls: PeerTls | None, seconds: float) -> Found:
    """The cluster to join, which must be the one that the flags describe."""
    own = _own_urls(settings)
    try:
        found = await joining.find_cluster(_all_urls(settings), own, tls, timeout=seconds)
    except CannotJoin as error:
        raise NotAMember(f"{settings.name} cannot join: {error}") from None
    listed = {frozenset(url.text for url in urls) for urls in settings.members.values()}
    there = {frozenset(each.peer_urls) for each in found.membership.members.values()}
    if listed != there:
        # In etcd's words.
        unequal = len(listed) != len(there)
        reason = (
            "member count is unequal" if unequal else "unmatched member while checking PeerURLs"
        )
        raise NotAMember(
            f"error validating peerURLs: {reason}: --initial-cluster lists {_shown(listed)}, but "
            f"cluster {found.cluster_id:x} has {_shown(there)}; list its members as they are"
        )
    log.info("joining cluster %x as member %x", found.cluster_id, found.member_id)
    return found


async def _check_not_begun(
    settings: StoreSettings, identity: Identity, tls: PeerTls | None, lost: str
) -> None:
    """Raise NotAMember if the others have heard of this member before.

    `lost` says what is wrong with its directory then.
    """
    if len(settings.members) == 1:
        return
    try:
        found = await joining.find_cluster(
            _all_urls(settings), _own_urls(settings), tls, timeout=0.0
        )
    except CannotJoin:
        return  # nobody is there yet, or it is another cluster, which will refuse this member
    if found.cluster_id == identity.cluster_id:
        _refuse_begun(settings, identity, found, lost)


def _refuse_begun(settings: StoreSettings, identity: Identity, found: Found, lost: str) -> None:
    """Who has told where clients reach it has been started."""
    me = found.membership.members.get(identity.member_id)
    if me is not None and me.client_urls:
        raise NotAMember(
            f"member {settings.name} ({identity.member_id:x}) has already been bootstrapped, but "
            f"{settings.data_dir} {lost}. Without its data it could undo what it acknowledged: "
            "restore the directory; or remove the member from the cluster, add it anew, and start "
            "it with an empty directory and --initial-cluster-state=existing"
        )


def _shown(members: Iterable[frozenset[str]]) -> str:
    return ", ".join(sorted(" and ".join(sorted(urls)) for urls in members))
