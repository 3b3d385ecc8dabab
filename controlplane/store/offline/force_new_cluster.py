"""A cluster of one from one member's data, where the majority of a cluster is lost for good.

One CONFIGURATION entry with this member alone is appended to its log, and everything in the log is
committed with it. That is one record, which is written completely or not at all: killed at any
moment, the directory is as before or as after. Cluster and member keep their ids; the others are
noted as removed, so that none of them can come back and disagree.

Entries that are not known to be committed are kept. etcd drops them (raft.go, `ForceNewCluster`),
by the commit index on disk. That index may be behind: it is written with later entries, so what was
acknowledged last is often beyond it, and dropping would lose it. Keeping an entry that was never
acknowledged does no harm: its proposer was told that the outcome is unknown.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.messages import Entry, EntryKind, HardState
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.storage import StoredState
from podling.controlplane.replica.members import membership
from podling.controlplane.replica.members.membership import Membership
from podling.controlplane.store.offline.errors import OfflineError
from podling.controlplane.store.offline.inspection import inspect
from podling.controlplane.wal.data_dir import DataDir
from podling.controlplane.wal.disk import Disk
from podling.controlplane.wal.segments import Identity


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done to a directory."""

    path: Path
    identity: Identity
    before: Configuration
    after: Configuration
    commit: int
    """Entries known to be committed."""
    last_index: int
    """Of the log; what is beyond `commit` is kept and committed."""

    @property
    def is_done(self) -> bool:
        """Whether it is a cluster of this member alone already."""
        return self.before.members == self.after.members


def plan(disk: Disk, path: Path) -> Plan:
    """Read the directory, changing nothing. Raises OfflineError."""
    found = inspect(disk, path)
    if not found.starts or found.identity is None:
        told = "; ".join(f"{each.path}: {each.what}" for each in found.problems)
        raise OfflineError(
            f"no member would start on {path}: {told}. See `podling store inspect {path}`"
        )
    in_force = found.configuration()
    member_id = found.identity.member_id
    if in_force is None or member_id not in in_force[1].members:
        listed = ", ".join(f"{each:x}" for each in sorted(in_force[1].members if in_force else ()))
        raise OfflineError(
            f"member {member_id:x} is not in its own configuration ({listed or 'empty'}): it never "
            "joined or was removed, so its data are not those of the cluster; take another member's"
        )
    before = in_force[1]
    after = Configuration(frozenset({member_id}), context=_alone(before, member_id))
    commit = max(found.log.hard_state.commit, found.newest.index)
    return Plan(path, found.identity, before, after, commit, found.last_index)


def carry_out(disk: Disk, decided: Plan) -> None:
    """Append the entry. Raises DataDirectoryError, and OfflineError if something has changed."""
    data_dir = DataDir.open(disk, decided.path, decided.identity)
    try:
        recovered = data_dir.recover(StoredState())
        stored = recovered.stored
        last = stored.entries[-1].index if stored.entries else stored.snapshot.index
        if last != decided.last_index:
            raise OfflineError(f"{decided.path} has been written to meanwhile; run this again")
        # A term of its own, so that the entry differs from any that the former cluster had there.
        term = max(stored.hard_state.term, stored.snapshot.term) + 1
        data = configuration_entry.encode(decided.after)
        entry = Entry(last + 1, term, EntryKind.CONFIGURATION, data)
        state = HardState(term, decided.identity.member_id, entry.index)
        recovered.writer.open()()
        recovered.writer.append(state, [entry])()
        recovered.writer.close()()
    finally:
        data_dir.close()


def _alone(before: Configuration, member_id: int) -> bytes:
    """What is known of the members, without the others."""
    if not before.context:
        return b""
    try:
        known = membership.decode(before.context)
    except membership.UnknownMembership as error:
        raise OfflineError(f"the list of members cannot be read: {error}") from error
    me = replace(known.member(member_id), learner=False)
    removed = known.removed | (known.members.keys() - {member_id})
    return membership.encode(Membership({member_id: me}, removed, known.version + 1))
