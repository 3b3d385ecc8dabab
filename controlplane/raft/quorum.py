"""Who votes, and the arithmetic of majorities: pure functions of a configuration.

A configuration is a value. In a joint one (Raft paper, section 6) a decision needs a majority of
the incoming and one of the outgoing voters.

Worked example: voters {1, 2, 3}, acknowledged indexes 1:5, 2:3, 3:4. Sorted down: 5, 4, 3; the
second one, 4, is on two of three members, so 4 is committed. A member that is missing counts as 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Configuration:
    """The members of a cluster at one point of its log."""

    voters: frozenset[int] = frozenset()
    outgoing: frozenset[int] = frozenset()
    """Voters of the old configuration while a joint one is in force, else empty."""
    learners: frozenset[int] = frozenset()
    """Get the log and have no vote. None of them is in `voters`; one that is in `outgoing` has a
    vote until the joint configuration is left."""
    context: bytes = b""
    """Opaque to the core: what the application knows about these members."""

    @property
    def all_voters(self) -> frozenset[int]:
        return self.voters | self.outgoing

    @property
    def members(self) -> frozenset[int]:
        """Everybody to whom a leader replicates."""
        return self.voters | self.outgoing | self.learners

    def halves(self) -> tuple[frozenset[int], ...]:
        """The sets of which each must have a majority."""
        return (self.voters, self.outgoing) if self.outgoing else (self.voters,)


class VoteResult(Enum):
    PENDING = "pending"
    WON = "won"
    LOST = "lost"


def committed_index(configuration: Configuration, acknowledged: Mapping[int, int]) -> int:
    """The highest index that every needed majority has acknowledged; 0 without voters."""
    return min(_majority_index(half, acknowledged) for half in configuration.halves())


def vote_result(configuration: Configuration, votes: Mapping[int, bool]) -> VoteResult:
    """Where an election stands; `votes` has the answers received so far, of anybody."""
    results = {_majority_vote(half, votes) for half in configuration.halves()}
    if VoteResult.LOST in results:
        return VoteResult.LOST
    return VoteResult.PENDING if VoteResult.PENDING in results else VoteResult.WON


def has_quorum(configuration: Configuration, members: frozenset[int] | set[int]) -> bool:
    """Whether `members` contain every needed majority."""
    return all(len(half & members) >= majority(len(half)) for half in configuration.halves())


def majority(count: int) -> int:
    """How many of `count` voters decide."""
    return count // 2 + 1


def _majority_index(voters: frozenset[int], acknowledged: Mapping[int, int]) -> int:
    if not voters:
        return 0
    indexes = sorted((acknowledged.get(voter, 0) for voter in voters), reverse=True)
    return indexes[len(voters) // 2]


def _majority_vote(voters: frozenset[int], votes: Mapping[int, bool]) -> VoteResult:
    granted = sum(votes.get(voter, False) for voter in voters)
    open_votes = sum(voter not in votes for voter in voters)
    if granted >= majority(len(voters)):
        return VoteResult.WON
    if granted + open_votes >= majority(len(voters)):
        return VoteResult.PENDING
    return VoteResult.LOST
