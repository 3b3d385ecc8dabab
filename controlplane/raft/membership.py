"""Changes of membership (Raft paper, section 6; thesis, chapter 4).

An entry holds the whole new configuration, and every member uses the newest one in its log. A
change by one voter takes one entry, since any majority of the old voters meets any of the new. A
change by more takes two: the first is a joint configuration, in which nothing is decided without a
majority of the old voters and one of the new; when it is committed, the leader leaves it.

    {1,2,3} -> {1,2,3,4}                                  by one
    {1,2,3} -> {3,4,5} outgoing {1,2,3} -> {3,4,5}        by more

Only one change is under way at a time, and none before the leader has committed an entry of its
term: without that, two leaders could each have one that the other does not know, and majorities
that do not meet (the flaw of the thesis's section 4.1, found in 2015).

A change goes on while leadership is handed over: the next leader has its entry, and leaves a joint
configuration like the one before would have. New changes are refused until the hand-over is done.
"""

from dataclasses import replace

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.election import resign
from podling.controlplane.raft.messages import (
    ENTRY_OVERHEAD,
    NONE,
    Entry,
    EntryKind,
    ProposeConfiguration,
    Refusal,
)
from podling.controlplane.raft.progress import State
from podling.controlplane.raft.proposals import ProposalRefused, check_takes, refuse
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.state import Raft


def change(raft: Raft, base: Configuration, proposed: Configuration) -> int:
    """LEADER: append what leads from `base` to `proposed`; return the index of the entry.

    Raises ProposalRefused, with nothing appended.
    """
    _check_possible(proposed)
    _check_free(raft)
    if raft.configuration != base:
        raise ProposalRefused(Refusal.CHANGED, "the members have been changed meanwhile")
    _check_learners(raft, proposed)
    first = _first_step(base, proposed)
    data = configuration_entry.encode(first)
    check_takes(raft, len(data) + ENTRY_OVERHEAD)
    return _append(raft, data)


def _check_possible(proposed: Configuration) -> None:
    if proposed.outgoing:
        raise ProposalRefused(Refusal.INVALID, "joint configurations are made by the leader alone")
    if not proposed.voters:
        raise ProposalRefused(Refusal.INVALID, "nobody would vote")
    if proposed.voters & proposed.learners:
        raise ProposalRefused(Refusal.INVALID, "a member is to be both voter and learner")
    if NONE in proposed.members:
        raise ProposalRefused(Refusal.INVALID, f"no member can have the id {NONE}")


def _check_free(raft: Raft) -> None:
    if not raft.has_committed_in_term:
        raise ProposalRefused(Refusal.NOT_NOW, "the leader has not committed in its term yet")
    if raft.configuration.outgoing or not raft.configuration_committed:
        raise ProposalRefused(Refusal.PENDING, "another change of the members is under way")


def _check_learners(raft: Raft, proposed: Configuration) -> None:
    """A voter without the log would be one that cannot help to commit (thesis 4.2.1)."""
    for learner in sorted(raft.configuration.learners & proposed.voters):
        progress = raft.progress[learner]
        lag = raft.log.last_index - progress.match_index
        if progress.state is not State.REPLICATE or lag > raft.config.max_learner_lag:
            raise ProposalRefused(
                Refusal.LEARNER_BEHIND, f"learner {learner} lacks {lag} entries of the log"
            )


def _first_step(base: Configuration, proposed: Configuration) -> Configuration:
    if len(base.voters ^ proposed.voters) <= 1:
        return proposed
    return replace(proposed, outgoing=base.voters)


def _append(raft: Raft, data: bytes) -> int:
    entry = Entry(raft.log.last_index + 1, raft.term, EntryKind.CONFIGURATION, data)
    raft.log.append([entry])
    raft.uncommitted.add(entry.index, entry.size)
    raft.track_members()
    return entry.index


def conclude(raft: Raft) -> None:
    """LEADER: do what is due once a configuration is committed.

    Leave a joint one; step down if this member has no vote in it (thesis 4.2.2), and let the best
    of those who have stand for election at once.
    """
    configuration = raft.configuration
    if not configuration.outgoing and raft.id in configuration.voters:
        return
    if not raft.configuration_committed or not raft.has_committed_in_term:
        return
    if not configuration.outgoing:
        resign(raft)
    elif raft.transfer_target == NONE:
        # During a hand-over, one more entry would make the log of the next leader too short.
        left = replace(configuration, outgoing=frozenset())
        _append(raft, configuration_entry.encode(left))


def handle_propose_configuration(raft: Raft, message: ProposeConfiguration) -> None:
    """LEADER: make the change that a follower passed on."""
    try:
        change(raft, message.base, message.proposed)
    except ProposalRefused as error:
        refuse(raft, message, error.reason)
