"""The data of the protocol: log entries, durable state, and what members say to each other.

Every message has a sender, a receiver and the sender's term (Raft paper, figure 2); a pre-vote
carries the term that its sender would campaign in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from operator import attrgetter
from typing import NamedTuple

from podling.controlplane.raft.quorum import Configuration

NONE = 0
"""Stands for "no member": member ids are never zero."""


class EntryKind(IntEnum):
    """What an entry means to the core; the values are on disk and on the wire."""

    COMMAND = 1
    """For the state machine."""
    NOOP = 2
    """A new leader's first entry: it commits what earlier terms left (Raft paper, section 8)."""
    CONFIGURATION = 3
    """The members from here on, whole (`configuration_entry`)."""


class Entry(NamedTuple):
    """One position of the replicated log. The same (index, term) is the same entry everywhere."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    term: int
    kind: EntryKind
    data: bytes

    @property
    def size(self) -> int:
        """Bytes it is counted as, in every bound on sizes."""
        return len(self.data) + ENTRY_OVERHEAD


ENTRY_OVERHEAD = 24
"""Bytes by which an encoded entry is larger than its data, roughly."""

_data = attrgetter("data")


def size_of(entries: Sequence[Entry]) -> int:
    """The sum of their sizes."""
    return sum(map(len, map(_data, entries))) + ENTRY_OVERHEAD * len(entries)


class Refusal(IntEnum):
    """Why a leader, or a member without one, took nothing; the values are on the wire."""

    NOT_NOW = 0
    """No leader, one that is new or hands over, or too much that waits to be committed."""
    CHANGED = 1
    """The configuration that the change was meant for is not in force any more."""
    PENDING = 2
    """Another change of membership is under way."""
    LEARNER_BEHIND = 3
    """A learner that is to vote has not got (nearly) the whole log yet."""
    INVALID = 4
    """There can be no such configuration."""


@dataclass(frozen=True, slots=True)
class HardState:
    """What must be on disk before a member answers (Raft paper, figure 2: persistent state)."""

    term: int = 0
    vote: int = NONE
    """Candidate voted for in `term`."""
    commit: int = 0
    """A hint that saves waiting after a restart; safe to be too low, never waited for."""


@dataclass(frozen=True, slots=True)
class SnapshotMeta:
    """Names a snapshot: the state after applying every entry up to and including `index`."""

    index: int = 0
    term: int = 0
    configuration: Configuration = field(default_factory=Configuration)
    """The members as of `index`."""


@dataclass(frozen=True, slots=True)
class Message:
    """What every message carries."""

    sender: int
    to: int
    term: int


@dataclass(frozen=True, slots=True)
class VoteRequest(Message):
    """RequestVote, and the pre-vote that asks whether it would be granted (thesis 9.6)."""

    last_index: int
    last_term: int
    pre: bool = False
    force: bool = False
    """A leader handed over, so stickiness to it does not count (thesis 3.10 and 4.2.3)."""


@dataclass(frozen=True, slots=True)
class VoteResponse(Message):
    granted: bool
    pre: bool = False


@dataclass(frozen=True, slots=True)
class AppendRequest(Message):
    """AppendEntries with entries, or empty to tell a new commit index."""

    previous_index: int
    previous_term: int
    entries: tuple[Entry, ...]
    commit: int
    quiet: bool = False
    """Only tells a commit index: no answer is wanted, unless to reject it."""


@dataclass(frozen=True, slots=True)
class AppendResponse(Message):
    """The answer to AppendRequest and InstallSnapshot: durable up to `index`, or a rejection."""

    index: int
    """Last entry known to match; for a rejection the `previous_index` that did not."""
    rejected: bool = False
    hint_index: int = 0
    """Rejection: the last index at which the logs may agree, as the follower sees it."""
    hint_term: int = 0
    """Its term there."""


@dataclass(frozen=True, slots=True)
class Heartbeat(Message):
    """Says that the leader is there; never carries entries."""

    commit: int
    """Never above what the follower is known to have."""
    round: int = 0
    """The newest round of read confirmation (`read_index`); echoed."""


@dataclass(frozen=True, slots=True)
class HeartbeatResponse(Message):
    round: int = 0


@dataclass(frozen=True, slots=True)
class InstallSnapshot(Message):
    """A snapshot for a follower whose next entries are compacted away.

    The core only names it; the driver streams the file, and steps this message into the receiving
    core when the file is safe there.
    """

    snapshot: SnapshotMeta


@dataclass(frozen=True, slots=True)
class TimeoutNow(Message):
    """The leader asks the receiver to campaign at once (thesis 3.10)."""


@dataclass(frozen=True, slots=True)
class TransferRequest(Message):
    """A follower asks the leader to hand over to `target` (`NONE`: whoever is furthest)."""

    target: int


@dataclass(frozen=True, slots=True)
class ProposeRequest(Message):
    """A follower passes commands on to the leader of `term`, and of no other term."""

    request: int
    """Chosen by the sender; comes back in `ProposeRefused`."""
    commands: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ProposeConfiguration(Message):
    """A follower passes a change of membership on to the leader of `term`, and of no other term."""

    request: int
    """As in ProposeRequest."""
    base: Configuration
    """What is to be changed."""
    proposed: Configuration
    """Into this, if `base` is in force."""


@dataclass(frozen=True, slots=True)
class ProposeRefused(Message):
    """Nothing of `request`, commands or change of membership, was appended."""

    request: int
    reason: Refusal = Refusal.NOT_NOW


@dataclass(frozen=True, slots=True)
class ReadIndexRequest(Message):
    """A follower asks for an index at which it may read (thesis 6.4)."""

    request: int


@dataclass(frozen=True, slots=True)
class ReadIndexResponse(Message):
    request: int
    index: int
