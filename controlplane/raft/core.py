"""What happens on a tick and on a message: the checks on terms, then a table of handlers."""

from collections.abc import Callable, Mapping
from typing import Any

from podling.controlplane.raft import election, membership, proposals, read_index, replication
from podling.controlplane.raft.messages import (
    NONE,
    AppendRequest,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    ProposeConfiguration,
    ProposeRefused,
    ProposeRequest,
    ReadIndexRequest,
    ReadIndexResponse,
    TimeoutNow,
    TransferRequest,
    VoteRequest,
    VoteResponse,
)
from podling.controlplane.raft.state import Raft, Role

Handler = Callable[[Raft, Any], None]


def tick(raft: Raft) -> None:
    """One tick of time has passed."""
    if raft.role is Role.LEADER:
        election.tick_leader(raft)
    else:
        election.tick(raft)


def step(raft: Raft, message: Message) -> None:
    """Take one message."""
    if message.term > raft.term and not _enter_higher_term(raft, message):
        return
    if message.term < raft.term:
        _answer_from_the_future(raft, message)
        return
    if isinstance(message, FROM_LEADER):
        _hear_leader(raft, message)
    handler = HANDLERS[raft.role].get(type(message))
    if handler is not None:
        handler(raft, message)


def _enter_higher_term(raft: Raft, message: Message) -> bool:
    """Follow a higher term, if the message gives reason to; False to ignore the message.

    A pre-vote and its granting speak of a term that nobody has entered yet.
    """
    if isinstance(message, VoteRequest):
        if election.insists_on_leader(raft, message):
            return False
        if message.pre:
            election.handle_vote_request(raft, message)
            return False
    if isinstance(message, VoteResponse) and message.pre and message.granted:
        if message.term == raft.term + 1:
            election.handle_vote_response(raft, message)
        return False
    leader = message.sender if isinstance(message, FROM_LEADER) else NONE
    raft.become_follower(message.term, leader)
    return True


def _answer_from_the_future(raft: Raft, message: Message) -> None:
    """The sender is behind. Tell those who would otherwise never learn it."""
    if isinstance(message, FROM_LEADER):
        # A leader that everybody ignores must find out that there is a higher term.
        raft.send(HeartbeatResponse(raft.id, message.sender, raft.term))
    elif isinstance(message, VoteRequest) and message.pre:
        raft.send(VoteResponse(raft.id, message.sender, raft.term, granted=False, pre=True))
    elif isinstance(message, ProposeRequest | ProposeConfiguration):
        proposals.refuse(raft, message)


def _hear_leader(raft: Raft, message: Message) -> None:
    if raft.role is Role.LEADER:
        raise AssertionError(
            f"members {raft.id} and {message.sender} both lead in term {raft.term}"
        )
    if raft.role is not Role.FOLLOWER:
        raft.become_follower(raft.term, message.sender)
    raft.leader = message.sender
    raft.election_elapsed = 0


FROM_LEADER = (AppendRequest, Heartbeat, InstallSnapshot)

_EVERYBODY: Mapping[type[Message], Handler] = {
    VoteRequest: election.handle_vote_request,
    ProposeRequest: proposals.refuse,
    ProposeConfiguration: proposals.refuse,
    ProposeRefused: proposals.handle_propose_refused,
    ReadIndexResponse: read_index.handle_read_index_response,
}
_FOLLOWER: Mapping[type[Message], Handler] = {
    **_EVERYBODY,
    AppendRequest: replication.handle_append_request,
    Heartbeat: replication.handle_heartbeat,
    InstallSnapshot: replication.handle_install_snapshot,
    TimeoutNow: election.handle_timeout_now,
}
_CANDIDATE: Mapping[type[Message], Handler] = {
    **_EVERYBODY,
    VoteResponse: election.handle_vote_response,
}
_LEADER: Mapping[type[Message], Handler] = {
    **_EVERYBODY,
    AppendResponse: replication.handle_append_response,
    HeartbeatResponse: read_index.handle_heartbeat_response,
    ProposeRequest: proposals.handle_propose_request,
    ProposeConfiguration: membership.handle_propose_configuration,
    ReadIndexRequest: read_index.handle_read_index_request,
    TransferRequest: election.handle_transfer_request,
}
HANDLERS: Mapping[Role, Mapping[type[Message], Handler]] = {
    Role.FOLLOWER: _FOLLOWER,
    Role.PRE_CANDIDATE: _CANDIDATE,
    Role.CANDIDATE: _CANDIDATE,
    Role.LEADER: _LEADER,
}
"""What is not in the table of a role does not concern it, and is dropped."""
