"""What a replica says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What a leader knows about one follower."""

    match_index: int
    """Last entry known to be on the follower's disk."""
    state: str
    """`probe`, `replicate` or `snapshot`."""
    active: bool
    """Heard from within the last election timeout."""


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A snapshot of one replica's state, as `podling status` prints it."""

    name: str
    member_id: int
    cluster_id: int
    role: str
    """`leader`, `follower`, `candidate` or `pre-candidate`."""
    term: int
    leader_id: int
    """0 if no leader is known."""
    commit_index: int
    applied_index: int
    """Never above `commit_index`."""
    first_index: int
    """Oldest entry still in the log."""
    last_index: int
    snapshot_index: int
    """Last entry covered by the newest snapshot; 0 if there is none."""
    connected: frozenset[int]
    """Peers to which a stream is open."""
    peers: Mapping[int, PeerStatus]
    """Empty unless this replica leads."""
    leader_changes: int
    """How often another leader became known since the start."""
    pending_proposals: int
    """Proposals of this replica that wait for their result."""
    failed_proposals: int
    """Those that ended without one: refused, lost, or unknown."""
    learner: bool = False
    """Gets the log and has no vote; serves reads of its own state only."""

    @property
    def is_leader(self) -> bool:
        return self.leader_id == self.member_id
