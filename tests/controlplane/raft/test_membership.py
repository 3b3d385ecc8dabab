"""Changes of membership as a driver sees them; what they do in a cluster is in the scenarios."""

import random

import pytest

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.config import Config
from podling.controlplane.raft.messages import (
    AppendRequest,
    AppendResponse,
    Entry,
    EntryKind,
    HeartbeatResponse,
    ProposeConfiguration,
    ProposeRefused,
    Refusal,
    SnapshotMeta,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.rawnode import ProposalRefused, RawNode
from podling.controlplane.raft.state import Role
from podling.controlplane.raft.storage import StoredState
from tests.controlplane.raft.nodes import (
    THREE,
    acknowledge,
    elected,
    leader,
    member,
    settle,
    voters,
)


def refusal(node: RawNode, base: Configuration, proposed: Configuration) -> Refusal:
    last_index = node.raft.log.last_index
    with pytest.raises(ProposalRefused) as refused:
        node.propose_configuration(base, proposed, 1)
    assert node.raft.log.last_index == last_index
    return refused.value.reason


def test_a_change_is_in_force_when_it_is_appended() -> None:
    node = leader()
    proposed = voters(1, 2, 3, 4, context=b"names")

    to = node.propose_configuration(THREE, proposed, 1)

    assert (to.term, to.first_index) == (1, 2)
    assert node.configuration == proposed
    ready = node.ready()
    assert ready is not None
    assert ready.configuration == proposed
    entry = ready.entries[0]
    assert entry.kind is EntryKind.CONFIGURATION
    assert configuration_entry.decode(entry.data) == proposed
    assert {each.to for each in ready.messages if isinstance(each, AppendRequest)} == {2, 3, 4}


def test_ready_tells_of_a_change_once() -> None:
    node = leader()
    node.propose_configuration(THREE, voters(1, 2, 3, 4), 1)
    node.ready()
    node.propose([b"x"], 2)
    ready = node.ready()

    assert ready is not None
    assert ready.configuration is None


def test_nothing_but_the_context_may_change() -> None:
    node = leader()
    proposed = voters(1, 2, 3, context=b"new names")

    node.propose_configuration(THREE, proposed, 1)
    acknowledge(node, 2)

    assert node.configuration == proposed
    assert node.raft.configuration_committed


def test_a_change_of_something_else_is_refused() -> None:
    node = leader()

    assert refusal(node, voters(1, 2), voters(1, 2, 4)) is Refusal.CHANGED


def test_a_second_change_is_refused_until_the_first_is_committed() -> None:
    node = leader()
    first, second = voters(1, 2, 3, 4), voters(1, 2, 3, 4, 5)
    node.propose_configuration(THREE, first, 1)
    assert refusal(node, first, second) is Refusal.PENDING

    acknowledge(node, 2, 3)
    node.propose_configuration(first, second, 2)
    assert node.configuration == second


def test_a_change_is_refused_until_the_leader_has_committed_in_its_term() -> None:
    node = elected()
    assert refusal(node, THREE, voters(1, 2)) is Refusal.NOT_NOW

    acknowledge(node, 2)
    node.propose_configuration(THREE, voters(1, 2), 1)


def test_a_change_is_refused_without_a_leader_and_while_handing_over() -> None:
    assert refusal(member(THREE), THREE, voters(1, 2)) is Refusal.NOT_NOW

    node = leader()
    node.transfer_leadership(2)
    assert refusal(node, THREE, voters(1, 2)) is Refusal.NOT_NOW


def test_a_change_counts_in_the_bound_on_what_is_uncommitted() -> None:
    node = leader(max_uncommitted_bytes=100)
    node.propose([bytes(60)], 1)

    assert refusal(node, THREE, voters(1, 2)) is Refusal.NOT_NOW


@pytest.mark.parametrize(
    "proposed",
    [
        voters(),
        voters(learners={1, 2, 3}),
        voters(1, 2, 3, learners={3}),
        voters(0, 1, 2),
        Configuration(frozenset({1}), outgoing=frozenset({1, 2, 3})),
    ],
)
def test_an_impossible_configuration_is_refused(proposed: Configuration) -> None:
    assert refusal(leader(), THREE, proposed) is Refusal.INVALID


def test_a_learner_becomes_a_voter_when_it_has_the_log() -> None:
    base = voters(1, 2, 3)
    learning, promoted = voters(1, 2, 3, learners={4}), voters(1, 2, 3, 4)
    node = leader(base, max_learner_lag=2)
    node.propose_configuration(base, learning, 1)
    acknowledge(node, 2, 3)
    assert refusal(node, learning, promoted) is Refusal.LEARNER_BEHIND

    acknowledge(node, 4)
    node.propose([b"a", b"b", b"c"], 2)
    assert refusal(node, learning, promoted) is Refusal.LEARNER_BEHIND

    acknowledge(node, 2, 3)
    node.step(AppendResponse(4, 1, 1, 3))
    node.propose_configuration(learning, promoted, 3)
    assert node.configuration == promoted


def test_a_learner_counts_for_nothing() -> None:
    node = leader(voters(1, 2, 3, learners={4, 5}))
    node.propose([b"x"], 1)

    acknowledge(node, 4, 5)
    assert node.raft.log.committed == 1
    acknowledge(node, 2)
    assert node.raft.log.committed == 2


def test_a_learner_does_not_stand_for_election_and_forgets_a_leader_that_is_gone() -> None:
    node = member(voters(2, 3, learners={1}))
    node.step(AppendRequest(2, 1, 1, 0, 0, (), 0))
    settle(node)
    for _ in range(30):
        node.tick()
    node.campaign_now()

    assert settle(node) == []
    assert (node.role, node.leader) == (Role.FOLLOWER, 0)


def test_a_learner_votes_when_asked_since_who_asks_knows_of_its_promotion() -> None:
    node = member(voters(2, 3, learners={1}))
    node.step(VoteRequest(2, 1, 1, 0, 0))

    assert settle(node) == [VoteResponse(1, 2, 1, granted=True)]


def test_more_than_one_voter_goes_through_a_joint_configuration() -> None:
    node = leader()
    proposed = voters(1, 4, 5, context=b"new")
    joint = Configuration(proposed.voters, THREE.voters, context=b"new")
    node.propose_configuration(THREE, proposed, 1)
    settle(node)
    assert node.configuration == joint

    acknowledge(node, 4, 5)
    assert node.configuration == joint
    acknowledge(node, 2)
    assert node.configuration == proposed
    assert not node.raft.configuration_committed
    acknowledge(node, 4)
    assert node.raft.configuration_committed


def test_a_voter_that_becomes_a_learner_votes_until_the_joint_configuration_is_left() -> None:
    node = leader()
    proposed = voters(1, 4, learners={2, 3})
    node.propose_configuration(THREE, proposed, 1)
    settle(node)
    acknowledge(node, 4)
    assert node.configuration.outgoing == {1, 2, 3}

    acknowledge(node, 3)
    assert node.configuration == proposed
    assert node.raft.peers == [2, 3, 4]


def test_a_joint_configuration_is_not_left_during_a_hand_over_but_after_it() -> None:
    node = leader()
    node.propose_configuration(THREE, voters(1, 4, 5), 1)
    settle(node)
    node.transfer_leadership(4)
    acknowledge(node, 2, 5)
    assert node.raft.configuration_committed
    assert node.configuration.outgoing

    for _ in range(10):
        acknowledge(node, 2, 5)
        node.tick()
    settle(node)
    assert node.configuration == voters(1, 4, 5)


def test_a_leader_that_removes_itself_leads_until_that_is_committed() -> None:
    node = leader()
    node.propose_configuration(THREE, voters(2, 3), 1)
    settle(node)

    assert acknowledge(node, 2) == []
    assert node.role is Role.LEADER
    assert TimeoutNow(1, 2, 1) in acknowledge(node, 3)
    assert (node.role, node.leader) == (Role.FOLLOWER, 0)


def test_a_removed_member_is_written_to_no_more() -> None:
    node = leader()
    node.propose_configuration(THREE, voters(1, 2), 1)

    assert {each.to for each in settle(node)} == {2}
    acknowledge(node, 3)
    assert not node.raft.configuration_committed
    acknowledge(node, 2)
    assert node.raft.configuration_committed


def test_an_overwritten_change_is_rolled_back() -> None:
    node = leader()
    node.propose_configuration(THREE, voters(1, 2, 3, 4), 1)
    settle(node)
    node.step(AppendRequest(2, 1, 2, 1, 1, (Entry(2, 2, EntryKind.NOOP, b""),), 1))
    ready = node.ready()

    assert ready is not None
    assert ready.configuration == THREE == node.configuration


def test_a_follower_uses_the_newest_configuration_in_its_log() -> None:
    node = member(Configuration())
    joined = voters(2, 3, 1)
    data = configuration_entry.encode(joined)
    node.step(AppendRequest(2, 1, 1, 0, 0, (Entry(1, 1, EntryKind.CONFIGURATION, data),), 0))
    ready = node.ready()

    assert ready is not None
    assert ready.configuration == joined == node.configuration
    assert ready.committed == ()


def test_a_restart_finds_the_newest_configuration_in_the_log() -> None:
    joined = voters(1, 2, 3, 4)
    entries = (Entry(1, 1, EntryKind.CONFIGURATION, configuration_entry.encode(joined)),)
    stored = StoredState(SnapshotMeta(configuration=THREE), entries=entries)

    assert RawNode(Config(1), stored, random.Random(1)).configuration == joined


def test_a_snapshot_names_the_members_as_of_its_index() -> None:
    node = leader()
    proposed = voters(1, 2, 3, 4)
    node.propose_configuration(THREE, proposed, 1)
    settle(node)
    assert node.snapshot_point() == SnapshotMeta(1, 1, THREE)

    acknowledge(node, 2, 3)
    point = node.snapshot_point()
    assert point == SnapshotMeta(2, 1, proposed)
    node.snapshot_saved(point, 2)
    assert node.configuration == proposed


def test_a_member_that_has_not_learned_who_the_members_are_takes_no_snapshot() -> None:
    node = member(Configuration())
    node.step(AppendRequest(2, 1, 1, 0, 0, (Entry(1, 1, EntryKind.NOOP, b""),), 1))
    settle(node)

    assert node.snapshot_point() is None


def test_a_follower_passes_a_change_on_and_hears_why_it_was_refused() -> None:
    node = member(THREE)
    node.step(AppendRequest(2, 1, 1, 0, 0, (), 0))
    settle(node)
    to = node.propose_configuration(THREE, voters(1, 2), 7)
    assert to.first_index == 0
    assert settle(node) == [ProposeConfiguration(1, 2, 1, 7, THREE, voters(1, 2))]

    node.step(ProposeRefused(2, 1, 1, 7, Refusal.PENDING))
    ready = node.ready()
    assert ready is not None
    assert ready.refused == ((7, Refusal.PENDING),)


def test_a_leader_makes_a_change_that_was_passed_on_or_says_why_not() -> None:
    node = leader()
    node.step(ProposeConfiguration(2, 1, 1, 7, THREE, voters(1, 2)))
    settle(node)
    assert node.configuration == voters(1, 2)

    node.step(ProposeConfiguration(2, 1, 1, 8, voters(1, 2), THREE))
    assert settle(node) == [ProposeRefused(1, 2, 1, 8, Refusal.PENDING)]


def test_a_read_does_not_wait_for_members_that_were_removed() -> None:
    node = leader(voters(1, 2))
    node.read_index(5)
    settle(node)
    node.propose_configuration(voters(1, 2), voters(1), 1)
    reads = []
    while (ready := node.ready()) is not None:
        node.persisted(ready.number)
        node.advance(ready)
        reads += ready.reads

    assert reads == [(5, 1)]


def test_leadership_is_not_handed_to_a_learner_or_to_a_voter_that_leaves() -> None:
    node = leader(voters(1, 2, 3, learners={4}))
    node.transfer_leadership(4)
    assert settle(node) == []

    node.propose_configuration(node.configuration, voters(1, 2, 5), 1)
    settle(node)
    acknowledge(node, 3)
    node.transfer_leadership(3)
    assert TimeoutNow(1, 3, 1) not in settle(node)


def test_a_removed_leader_may_be_elected_again_while_only_it_knows_of_its_removal() -> None:
    """Else nobody could: member 2 does not vote for whom lacks the last entry (thesis 4.2.2)."""
    both, other = voters(1, 2), voters(2)
    node = leader(both)
    node.propose_configuration(both, other, 1)
    settle(node)
    node.step(HeartbeatResponse(2, 1, 2))
    assert node.role is Role.FOLLOWER
    node.campaign_now()
    for pre in (True, False):
        assert node.role is not Role.FOLLOWER
        node.step(VoteResponse(2, 1, 3, granted=True, pre=pre))
        settle(node)
    assert node.role is Role.LEADER

    acknowledge(node, 2)
    assert (node.role, node.configuration) == (Role.FOLLOWER, other)
    node.campaign_now()
    assert settle(node) == []
