"""What a replica is told when it is built."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from podling.controlplane.replica.members.membership import Member
from podling.controlplane.wal.log_writer import SEGMENT_BYTES

TICKS_PER_HEARTBEAT = 2
"""Raft's timers count ticks of half a heartbeat. More would spread randomised election timeouts
further, and cost more at rest: every tick wakes the process."""


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """Everything a replica must know beside its collaborators. Durations are in seconds."""

    name: str
    """This member's name, the same as `members[member_id].name`."""
    member_id: int
    """Unsigned 64-bit number, not zero."""
    cluster_id: int
    """Unsigned 64-bit number that every member must have; peers of other clusters are refused."""
    members: Mapping[int, Member]
    """By member id, this one included: all voters when the cluster is begun; with `join` those of
    the cluster to join (`joining`). What is on disk, if anything is, counts instead."""
    data_dir: Path
    """Owned by this replica alone; bound to the cluster and member id when first used."""
    heartbeat_interval: float = 0.1
    """How often a leader without work tells its followers that it is there."""
    election_timeout: float = 1.0
    """A follower that hears nothing for this long (up to half as much more, by dice) campaigns."""
    snapshot_count: int = 10_000
    """Entries applied since the last snapshot after which the next one is made, unless they are
    small beside the state (`log_growth` has the rule)."""
    snapshot_bytes: int = 64 * 1024 * 1024
    """Bytes of entries after which it is made in any case."""
    catch_up_entries: int = 5_000
    """Entries kept behind a snapshot, so that a slow follower need not take the whole state."""
    catch_up_bytes: int = 32 * 1024 * 1024
    """The same for the sum of their sizes."""
    max_inflight_proposals: int = 5_000
    """Proposals of this replica that wait for their result; more get `TooManyProposals`."""
    max_inflight_bytes: int = 64 * 1024 * 1024
    """The same for the sum of their sizes."""
    max_proposal_bytes: int = 2 * 1024 * 1024
    """Largest command; a larger one gets `ProposalTooLarge`."""
    max_append_bytes: int = 1024 * 1024
    """Entries in one message to a follower, unless a single entry is larger."""
    segment_bytes: int = SEGMENT_BYTES
    """A file of the log is closed when it has grown beyond this, and the next one begun."""
    request_timeout: float = 5.0
    """How long whatever is asked of this replica may take, unless the caller says so."""
    stop_timeout: float = 2.0
    """How long `stop` may take to hand leadership over."""
    join: bool = False
    """A first start joins a cluster to which this member was added, instead of beginning one."""
    strict_reconfiguration: bool = True
    """Refuse changes of membership that could cost the quorum (`reconfiguration`)."""

    def __post_init__(self) -> None:
        if self.member_id not in self.members:
            raise ValueError(
                f"member id {self.member_id:x} of {self.name} is not among the members: "
                + ", ".join(f"{number:x}={member.name}" for number, member in self.members.items())
            )
        if not self.join and self.members[self.member_id].name != self.name:
            raise ValueError(
                f"member {self.member_id:x} is called {self.members[self.member_id].name!r} in the "
                f"list of members, but this replica is {self.name!r}"
            )
        if not 0 < self.heartbeat_interval * 2 <= self.election_timeout:
            raise ValueError(
                f"election timeout {self.election_timeout} s must be at least twice the heartbeat "
                f"interval {self.heartbeat_interval} s (ten times is usual)"
            )

    @property
    def tick_interval(self) -> float:
        return self.heartbeat_interval / TICKS_PER_HEARTBEAT

    @property
    def election_ticks(self) -> int:
        return max(round(self.election_timeout / self.tick_interval), 2 * TICKS_PER_HEARTBEAT)
