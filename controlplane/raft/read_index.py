"""Linearizable reads without a log entry (thesis 6.4).

A read may be answered at an index that was committed when it was asked, once a majority has
confirmed that the leader still leads. All reads that come while one round of confirmation is under
way wait for the next and share it, so a thousand of them cost two messages a follower.
"""

from podling.controlplane.raft.messages import (
    HeartbeatResponse,
    ReadIndexRequest,
    ReadIndexResponse,
)
from podling.controlplane.raft.quorum import has_quorum
from podling.controlplane.raft.replication import broadcast_heartbeat, revive
from podling.controlplane.raft.state import Raft


def ask(raft: Raft, member: int, request: int) -> None:
    """LEADER: `member` (this one or a follower) wants to read."""
    raft.reads.waiting.append((member, request))


def handle_read_index_request(raft: Raft, message: ReadIndexRequest) -> None:
    ask(raft, message.sender, message.request)


def handle_read_index_response(raft: Raft, message: ReadIndexResponse) -> None:
    raft.outbox.reads.append((message.request, message.index))


def flush(raft: Raft) -> None:
    """LEADER: begin a round for the reads that wait, unless one is under way.

    Until an entry of its own term is committed, a leader does not know the newest commit index.
    """
    reads = raft.reads
    if reads.confirming:
        # Fewer may be enough than when the round began.
        _answer_if_confirmed(raft)
    if reads.confirming or not reads.waiting or not raft.has_committed_in_term:
        return
    reads.confirming, reads.waiting = reads.waiting, []
    reads.round += 1
    reads.index = raft.log.committed
    reads.confirmed = {raft.id}
    broadcast_heartbeat(raft)
    _answer_if_confirmed(raft)


def handle_heartbeat_response(raft: Raft, response: HeartbeatResponse) -> None:
    """LEADER: the follower still follows; count it for the round that it answers."""
    revive(raft, response.sender)
    if raft.reads.confirming and response.round == raft.reads.round:
        raft.reads.confirmed.add(response.sender)
        _answer_if_confirmed(raft)


def _answer_if_confirmed(raft: Raft) -> None:
    reads = raft.reads
    if not has_quorum(raft.configuration, reads.confirmed):
        return
    for member, request in reads.confirming:
        if member == raft.id:
            raft.outbox.reads.append((request, reads.index))
        else:
            raft.send(ReadIndexResponse(raft.id, member, raft.term, request, reads.index))
    reads.confirming = []
