"""What a core is told when it is built."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Config:
    """The parameters of one member. Durations are in ticks."""

    member_id: int
    """This member; not zero."""
    election_ticks: int = 40
    """A follower that hears nothing for this long, plus up to half as much by dice, campaigns: a
    vote takes milliseconds, so more spread would only cost time. A leader that hears no majority
    for this long steps down. Ten times `heartbeat_ticks` is usual."""
    heartbeat_ticks: int = 4
    """How often a leader tells that it is there."""
    max_append_bytes: int = 1024 * 1024
    """Entries in one message, unless a single entry is larger. Small enough to keep heartbeats from
    waiting behind it, large enough to make messages few."""
    max_inflight_messages: int = 256
    """Append messages sent to a follower and not yet answered."""
    max_inflight_bytes: int = 8 * 1024 * 1024
    """The same for the sum of their entries."""
    max_uncommitted_bytes: int = 64 * 1024 * 1024
    """Entries of its own term that a leader holds and no majority has; more proposals are refused.
    A single proposal is taken whatever its size if nothing else is uncommitted."""
    max_learner_lag: int = 1000
    """Entries of the log that a learner may lack when it is made a voter: what it gets in less time
    than an election takes."""
    max_committed_bytes: int = 1024 * 1024
    """Entries handed out to be applied at a time, unless a single entry is larger."""
    max_committed_entries: int = 256
    """The same as a count, so that applying does not hold up the event loop for long."""

    def __post_init__(self) -> None:
        if self.member_id <= 0:
            raise ValueError(f"member id must be above zero, not {self.member_id}")
        if not 0 < self.heartbeat_ticks < self.election_ticks:
            raise ValueError(
                f"election timeout ({self.election_ticks} ticks) must be above the heartbeat "
                f"interval ({self.heartbeat_ticks} ticks), and that above zero"
            )
        if self.max_inflight_messages < 1:
            raise ValueError("at least one message must be allowed in flight")
