"""Elections and hand-overs beyond what the papers say in one sentence."""

from podling.controlplane.raft.messages import (
    AppendRequest,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)
from podling.controlplane.raft.state import Role
from tests.controlplane.raft.nodes import THREE, leader, member, settle, voters


def test_a_candidate_does_not_lead_before_its_own_vote_is_on_disk() -> None:
    """Or it could crash, forget the term, win it again, and fill it with other entries."""
    node = member(THREE)
    node.campaign_now()
    node.step(VoteResponse(2, 1, 1, granted=True, pre=True))
    ready = node.ready()
    assert ready is not None
    node.advance(ready)
    for voter in (2, 3):
        node.step(VoteResponse(voter, 1, 1, granted=True))
    assert node.role is Role.CANDIDATE

    node.persisted(ready.number)
    assert node.role is Role.LEADER


def test_a_leader_that_steps_down_asks_the_best_voter_to_take_over() -> None:
    node = leader(voters(1, 2, 3, learners={4}))
    node.step_down()

    assert (node.role, node.leader, node.term) == (Role.FOLLOWER, 0, 1)
    assert settle(node) == [TimeoutNow(1, 2, 1)]


def test_who_stepped_down_stands_for_election_only_after_its_disk_has_written() -> None:
    node = leader()
    node.propose([b"stuck"], 1)
    stuck = node.ready()
    assert stuck is not None
    node.advance(stuck)
    node.step_down()
    handed_over = node.ready()
    assert handed_over is not None
    for _ in range(100):
        node.tick()
    node.campaign_now()
    node.step(TimeoutNow(2, 1, 1))
    assert node.ready() is None
    assert node.role is Role.FOLLOWER

    node.persisted(stuck.number)
    for _ in range(20):
        node.tick()
    assert any(isinstance(each, VoteRequest) for each in settle(node))


def test_who_stepped_down_with_nothing_to_write_may_stand_at_once() -> None:
    node = leader(voters(1))
    node.step_down()
    node.campaign_now()
    settle(node)

    assert node.role is Role.LEADER


def test_who_stepped_down_follows_and_votes() -> None:
    node = leader()
    node.step_down()
    settle(node)
    node.step(VoteRequest(2, 1, 2, 9, 9, force=True))
    assert settle(node) == [VoteResponse(1, 2, 2, granted=True)]

    node.step(AppendRequest(2, 1, 2, 1, 1, (), 1))
    assert node.leader == 2


def test_asking_again_and_again_for_a_hand_over_does_not_keep_a_cut_off_leader() -> None:
    node = leader()
    for _ in range(40):
        node.transfer_leadership(2)
        node.tick()

    assert node.role is not Role.LEADER
