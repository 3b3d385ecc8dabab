"""Elections: campaigns, votes and pre-votes (Raft paper, section 5.2 and 5.4.1; thesis 9.6)."""

from podling.controlplane.raft.messages import (
    NONE,
    TimeoutNow,
    TransferRequest,
    VoteRequest,
    VoteResponse,
)
from podling.controlplane.raft.progress import Progress, State
from podling.controlplane.raft.quorum import VoteResult, has_quorum, vote_result
from podling.controlplane.raft.replication import broadcast_heartbeat
from podling.controlplane.raft.state import Raft, Role


def tick(raft: Raft) -> None:
    """A tick of anybody but the leader."""
    raft.election_elapsed += 1
    if raft.election_elapsed >= raft.election_timeout:
        if raft.can_campaign:
            campaign(raft)
        else:
            # It hears its leader no more: there may be another, of whom it will hear.
            raft.become_follower(raft.term)


def campaign(raft: Raft, *, pre: bool = True, force: bool = False) -> None:
    """Stand for election; with `pre` only after a majority says that it would vote.

    `force` asks voters not to insist on the leader they have: it asked for this itself.
    """
    if raft.role is Role.LEADER or not raft.can_campaign:
        return
    if pre:
        raft.become_pre_candidate()
        term = raft.term + 1
    else:
        raft.become_candidate()
        term = raft.term
    _ask_for_votes(raft, term, pre=pre, force=force)
    own_vote = VoteResponse(raft.id, raft.id, term, granted=True, pre=pre)
    if pre:
        handle_vote_response(raft, own_vote)
    else:
        # The vote for itself counts when it is on disk, like any other.
        raft.send(own_vote)


def _ask_for_votes(raft: Raft, term: int, *, pre: bool, force: bool) -> None:
    last_index, last_term = raft.log.last_index, raft.log.last_term
    for voter in sorted(raft.configuration.all_voters - {raft.id}):
        raft.send(VoteRequest(raft.id, voter, term, last_index, last_term, pre, force))


def insists_on_leader(raft: Raft, request: VoteRequest) -> bool:
    """Whether to ignore a candidate because the leader is alive (paper, section 6, end)."""
    hears_leader = raft.leader != NONE and raft.election_elapsed < raft.config.election_ticks
    return hears_leader and not request.force


def handle_vote_request(raft: Raft, request: VoteRequest) -> None:
    """Grant at most one vote a term, first come first served, to an up-to-date log only."""
    free = raft.vote == request.sender or (raft.vote == NONE and raft.leader == NONE)
    # A pre-vote gives nothing away, so it depends on the term asked about alone.
    free = free or (request.pre and request.term > raft.term)
    granted = free and raft.log.is_up_to_date(request.last_index, request.last_term)
    term = request.term if granted else raft.term
    raft.send(VoteResponse(raft.id, request.sender, term, granted, request.pre))
    if granted and not request.pre:
        raft.vote = request.sender
        raft.election_elapsed = 0


def handle_vote_response(raft: Raft, response: VoteResponse) -> None:
    if response.pre != (raft.role is Role.PRE_CANDIDATE):
        return
    raft.votes.setdefault(response.sender, response.granted)
    result = vote_result(raft.configuration, raft.votes)
    if result is VoteResult.LOST:
        raft.become_follower(raft.term)
    elif result is VoteResult.WON and raft.id in raft.votes:
        # Its own vote is in, so it cannot forget the term and be elected in it a second time.
        if response.pre:
            campaign(raft, pre=False)
        else:
            raft.become_leader()


def tick_leader(raft: Raft) -> None:
    """A tick of the leader: heartbeats, and stepping down without a quorum (thesis 6.2)."""
    raft.heartbeat_elapsed += 1
    raft.election_elapsed += 1
    if raft.election_elapsed >= raft.config.election_ticks:
        raft.election_elapsed = 0
        if not _heard_quorum(raft):
            raft.become_follower(raft.term)
            return
    raft.transfer_elapsed += 1
    if raft.transfer_elapsed >= raft.config.election_ticks:
        raft.transfer_target = NONE
    if raft.heartbeat_elapsed >= raft.config.heartbeat_ticks:
        raft.heartbeat_elapsed = 0
        broadcast_heartbeat(raft)


def _heard_quorum(raft: Raft) -> bool:
    active = {member for member, progress in raft.progress.items() if progress.active}
    for member, progress in raft.progress.items():
        progress.active = member == raft.id
    return has_quorum(raft.configuration, active | {raft.id})


def handle_timeout_now(raft: Raft, message: TimeoutNow) -> None:
    campaign(raft, pre=False, force=True)


def handle_transfer_request(raft: Raft, request: TransferRequest) -> None:
    """Hand over to `request.target`, once it has the whole log (thesis 3.10)."""
    target = request.target or _furthest(raft)
    if target == raft.id or target not in raft.configuration.voters:
        return
    if raft.transfer_target == NONE:
        # It has one election timeout to succeed, however often it is asked for.
        raft.transfer_elapsed = 0
    raft.transfer_target = target
    if raft.progress[target].match_index == raft.log.last_index:
        raft.send(TimeoutNow(raft.id, target, raft.term))


def resign(raft: Raft) -> None:
    """LEADER: lead no more, and ask the best of the voters to stand for election at once."""
    successor = _furthest(raft)
    if successor != NONE and raft.progress[successor].state is State.REPLICATE:
        raft.send(TimeoutNow(raft.id, successor, raft.term))
    raft.become_follower(raft.term)


def _furthest(raft: Raft) -> int:
    """The voter to hand over to: one that is reached and heard from, and whose log is longest."""
    voters = raft.configuration.voters - {raft.id}
    return max(voters, key=lambda voter: _fitness(raft.progress[voter], voter), default=NONE)


def _fitness(progress: Progress, voter: int) -> tuple[bool, bool, int, int]:
    reached = progress.state is State.REPLICATE
    return reached, progress.active, progress.match_index, -voter
