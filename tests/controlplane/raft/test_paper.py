"""Each test quotes the sentence that it checks (extended version of the Raft paper, or thesis)."""

import random

import pytest

from podling.controlplane.raft.config import Config
from podling.controlplane.raft.messages import (
    AppendRequest,
    AppendResponse,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    SnapshotMeta,
    VoteRequest,
    VoteResponse,
)
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.rawnode import RawNode
from podling.controlplane.raft.state import Role
from podling.controlplane.raft.storage import StoredState

ELECTION = 10


def member(
    *terms: int, term: int = 1, vote: int = 0, seed: int = 1, size: int = 3, commit: int = 0
) -> RawNode:
    """Member 1 of `size`, whose log has entries of `terms`, in term `term`."""
    entries = tuple(
        Entry(index, each, EntryKind.COMMAND, b"") for index, each in enumerate(terms, start=1)
    )
    configuration = Configuration(frozenset(range(1, size + 1)))
    stored = StoredState(
        SnapshotMeta(configuration=configuration), HardState(term, vote, commit), entries
    )
    return RawNode(Config(1, ELECTION, 1), stored, random.Random(seed))


def sent(node: RawNode) -> list[Message]:
    """Everything that goes out now, disk included."""
    messages: list[Message] = []
    while (ready := node.ready()) is not None:
        node.persisted(ready.number)
        node.advance(ready)
        messages += [*ready.messages, *ready.messages_after_persist]
    return messages


def of_kind(messages: list[Message], kind: type[Message]) -> list[Message]:
    return [message for message in messages if type(message) is kind]


def candidate(*terms: int, size: int = 3, term: int = 1) -> RawNode:
    """Member 1, having asked for votes in term `term + 1`."""
    node = member(*terms, size=size, term=term)
    node.campaign_now()
    for voter in range(2, size + 1):
        node.step(VoteResponse(voter, 1, node.term + 1, granted=True, pre=True))
        if node.role is Role.CANDIDATE:
            break
    sent(node)
    return node


def leader(*terms: int, size: int = 3, term: int = 1) -> RawNode:
    """Member 1, elected in term `term + 1`, its no-op on its disk and nowhere else."""
    node = candidate(*terms, size=size, term=term)
    for voter in range(2, size + 1):
        if node.role is not Role.LEADER:
            node.step(VoteResponse(voter, 1, node.term, granted=True))
    sent(node)
    return node


def test_higher_term_updates_own() -> None:
    """5.1: "if one server's current term is smaller than the other's, then it updates its current
    term to the larger value. If a candidate or leader discovers that its term is out of date, it
    immediately reverts to follower state."
    """
    for node in (member(), candidate(), leader()):
        node.step(Heartbeat(2, 1, 9, commit=0))

        assert (node.role, node.term, node.leader) == (Role.FOLLOWER, 9, 2)


def test_stale_term_is_rejected() -> None:
    """5.1: "If a server receives a request with a stale term number, it rejects the request." """
    node = member(1, term=5)
    node.step(AppendRequest(2, 1, 4, 1, 1, (Entry(2, 4, EntryKind.COMMAND, b"x"),), 2))

    assert of_kind(sent(node), AppendResponse) == []
    assert node.raft.log.last_index == 1


def test_leader_sends_heartbeats() -> None:
    """5.2: "Leaders send periodic heartbeats ... to all followers in order to maintain their
    authority."
    """
    node = leader()
    node.tick()

    assert [each.to for each in of_kind(sent(node), Heartbeat)] == [2, 3]


def test_follower_starts_election() -> None:
    """5.2: "If a follower receives no communication over a period of time called the election
    timeout, then it assumes there is no viable leader and begins an election" - first asking
    whether it would win, "incrementing its term" only then (thesis 9.6).
    """
    node = member(1, term=3)
    for _ in range(2 * ELECTION):
        node.tick()

    requests = of_kind(sent(node), VoteRequest)
    assert requests[:2] == [VoteRequest(1, to, 4, 1, 1, pre=True) for to in (2, 3)]
    assert node.term == 3


@pytest.mark.parametrize(
    ("size", "granted", "refused", "role"),
    [
        (3, [2], [], Role.LEADER),
        (3, [], [2, 3], Role.FOLLOWER),
        (3, [], [2], Role.CANDIDATE),
        (5, [2, 3], [4, 5], Role.LEADER),
        (5, [2], [3, 4, 5], Role.FOLLOWER),
        (5, [2], [3, 4], Role.CANDIDATE),
    ],
)
def test_majority_of_votes_wins(
    size: int, granted: list[int], refused: list[int], role: Role
) -> None:
    """5.2: "A candidate wins an election if it receives votes from a majority of the servers in the
    full cluster for the same term."
    """
    node = candidate(size=size)
    for voter in granted:
        node.step(VoteResponse(voter, 1, node.term, granted=True))
    for voter in refused:
        node.step(VoteResponse(voter, 1, node.term, granted=False))

    assert node.role is role


def test_one_vote_a_term() -> None:
    """5.2: "Each server will vote for at most one candidate in a given term, on a
    first-come-first-served basis".
    """
    node = member(term=1)
    node.step(VoteRequest(2, 1, 2, 0, 0))
    node.step(VoteRequest(3, 1, 2, 0, 0))

    assert sent(node) == [VoteResponse(1, 2, 2, True), VoteResponse(1, 3, 2, False)]


def test_candidate_returns_to_follower() -> None:
    """5.2: "If the leader's term ... is at least as large as the candidate's current term, then the
    candidate recognizes the leader as legitimate and returns to follower state."
    """
    node = candidate()
    node.step(AppendRequest(3, 1, node.term, 0, 0, (), 0))

    assert (node.role, node.leader) == (Role.FOLLOWER, 3)


def test_election_timeouts_are_spread() -> None:
    """5.2: "election timeouts are chosen randomly from a fixed interval"."""
    timeouts = {member(seed=seed).raft.election_timeout for seed in range(300)}

    assert timeouts == set(range(ELECTION, ELECTION + ELECTION // 2))


def test_leader_appends_and_replicates_in_parallel() -> None:
    """5.3: "The leader appends the command to its log as a new entry, then issues AppendEntries
    RPCs in parallel to each of the other servers to replicate the entry."
    """
    node = leader()
    for follower in (2, 3):
        node.step(AppendResponse(follower, 1, node.term, 1))
    sent(node)
    node.propose([b"x"], 1)
    ready = node.ready()

    assert ready is not None
    assert [entry.data for entry in ready.entries] == [b"x"]
    appends = of_kind(list(ready.messages), AppendRequest)
    assert [(each.to, each.previous_index) for each in appends] == [(2, 1), (3, 1)]  # type: ignore[attr-defined]


def test_commit_when_on_a_majority() -> None:
    """5.3: "A log entry is committed once the leader that created the entry has replicated it on a
    majority of the servers."
    """
    node = leader(size=5)
    for count, follower in enumerate((2, 3), start=1):
        node.step(AppendResponse(follower, 1, node.term, 1))
        sent(node)

        assert node.raft.log.committed == (1 if count == 2 else 0)


def test_followers_learn_the_commit_index() -> None:
    """5.3: "The leader keeps track of the highest index it knows to be committed, and it includes
    that index in future AppendEntries RPCs ... Once a follower learns that a log entry is
    committed, it applies the entry to its local state machine (in log order)."
    """
    node = member()
    node.step(AppendRequest(2, 1, 1, 0, 0, (Entry(1, 1, EntryKind.COMMAND, b"x"),), 1))
    ready = node.ready()

    assert ready is not None
    assert [entry.data for entry in ready.committed] == [b"x"]


def test_follower_refuses_without_the_previous_entry() -> None:
    """5.3: "If the follower does not find an entry in its log with the same index and term, then it
    refuses the new entries."
    """
    node = member(1, 1, 2, term=2)
    node.step(AppendRequest(2, 1, 2, 3, 1, (), 0))
    node.step(AppendRequest(2, 1, 2, 9, 2, (), 0))

    assert [each.rejected for each in sent(node)] == [True, True]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("mine", "theirs", "granted"),
    [
        ([1], (1, 1), True),
        ([1], (2, 1), True),
        ([1, 1], (1, 1), False),
        ([1, 1], (1, 2), True),
        ([2], (5, 1), False),
    ],
)
def test_votes_go_to_up_to_date_logs(
    mine: list[int], theirs: tuple[int, int], granted: bool
) -> None:
    """5.4.1: "the voter denies its vote if its own log is more up-to-date than that of the
    candidate" - the later last term, or with the same the longer log.
    """
    node = member(*mine, term=2)
    node.step(VoteRequest(2, 1, 3, *theirs))

    assert [each.granted for each in sent(node)] == [granted]  # type: ignore[attr-defined]


def test_earlier_terms_are_not_committed_by_counting() -> None:
    """5.4.2: "Raft never commits log entries from previous terms by counting replicas. Only log
    entries from the leader's current term are committed by counting replicas".
    """
    node = leader(1, 1, term=2)
    node.step(AppendResponse(2, 1, node.term, 2))
    assert node.raft.log.committed == 0

    node.step(AppendResponse(2, 1, node.term, 3))
    assert node.raft.log.committed == 3


def test_vote_requests_are_ignored_while_a_leader_is_heard() -> None:
    """6: "if a server receives a RequestVote RPC within the minimum election timeout of hearing
    from a current leader, it does not update its term or grant its vote."
    """
    node = member()
    node.step(Heartbeat(2, 1, 1, commit=0))
    node.step(VoteRequest(3, 1, 7, 9, 9))
    assert [type(each) for each in sent(node)] == [HeartbeatResponse]
    assert node.term == 1

    node.step(VoteRequest(3, 1, 7, 9, 9, force=True))
    assert node.term == 7


def test_a_snapshot_of_what_is_there_keeps_the_entries_after_it() -> None:
    """Figure 13, rule 6: "If existing log entry has same index and term as snapshot's last included
    entry, retain log entries following it and reply".
    """
    node = member(1, 1, 1, term=1)
    node.step(InstallSnapshot(2, 1, 1, SnapshotMeta(2, 1, node.configuration)))

    assert of_kind(sent(node), AppendResponse) == [AppendResponse(1, 2, 1, 2)]
    assert (node.raft.log.committed, node.raft.log.last_index) == (2, 3)


def test_a_snapshot_of_what_is_not_there_replaces_the_log() -> None:
    """Figure 13, rule 7: "Discard the entire log"."""
    node = member(1, 1, 1, term=2)
    node.step(InstallSnapshot(2, 1, 2, SnapshotMeta(2, 2, node.configuration)))

    assert of_kind(sent(node), AppendResponse) == [AppendResponse(1, 2, 2, 2)]
    assert (node.raft.log.committed, node.raft.log.last_index) == (2, 2)


def test_leader_commits_a_noop_first() -> None:
    """8: "each leader commit[s] a blank no-op entry into the log at the start of its term." """
    node = leader(1, 1, term=1)

    assert node.raft.log.last_term == 2
    assert node.raft.log.slice(3, 100)[0].kind is EntryKind.NOOP


def test_a_single_server_needs_nobody() -> None:
    """5.2, with a majority of one; and nothing counts before it is on disk."""
    node = member(size=1)
    node.campaign_now()
    assert node.role is Role.CANDIDATE

    sent(node)
    assert node.role is Role.LEADER
    assert node.raft.log.committed == 1
