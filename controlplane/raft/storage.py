"""What a member finds on its disk when it starts.

The log of a running member is in memory, from the last compaction on; the disk is written by the
driver, and read again only here.
"""

from dataclasses import dataclass, field

from podling.controlplane.raft.messages import Entry, HardState, SnapshotMeta
from podling.controlplane.raft.quorum import Configuration


@dataclass(frozen=True, slots=True)
class StoredState:
    """All that a restart needs. The default, given a configuration, is a member's first start."""

    snapshot: SnapshotMeta = field(default_factory=SnapshotMeta)
    """The newest snapshot; the driver has restored the state machine from it."""
    hard_state: HardState = field(default_factory=HardState)
    entries: tuple[Entry, ...] = ()
    """The log, without gaps; it may begin anywhere up to `snapshot.index + 1`."""
    base_term: int = 0
    """Term of the entry before the first of `entries`, if it is not the snapshot's."""


def first_start(configuration: Configuration) -> StoredState:
    """The state of a member that never ran, in a cluster of these members."""
    return StoredState(snapshot=SnapshotMeta(configuration=configuration))
