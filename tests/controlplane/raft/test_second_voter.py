"""The only voter adds a second one, which is started when that is done."""

from podling.controlplane.raft.messages import AppendRequest
from tests.controlplane.raft.nodes import acknowledge, leader, settle, voters

ONE, TWO = voters(1), voters(1, 2)


def test_it_decides_that_alone_with_its_own_disk() -> None:
    node = leader(ONE)
    node.propose_configuration(ONE, TWO, 1)
    ready = node.ready()
    assert ready is not None
    assert ready.committed == ()

    node.persisted(ready.number)

    applied = node.ready()
    assert applied is not None
    assert applied.committed == ready.entries


def test_what_comes_after_needs_both() -> None:
    node = leader(ONE)
    node.propose_configuration(ONE, TWO, 1)
    node.propose([b"x"], 2)
    settle(node)
    assert node.raft.log.committed == node.raft.log.last_index - 1

    acknowledge(node, 2)

    assert node.raft.log.committed == node.raft.log.last_index


def test_nobody_else_decides_alone() -> None:
    node = leader(TWO)
    node.propose_configuration(TWO, voters(1, 2, 3), 1)
    messages = settle(node)

    assert {each.to for each in messages if isinstance(each, AppendRequest)} == {2, 3}
    assert node.raft.log.committed == node.raft.log.last_index - 1


def test_a_joint_change_needs_both_halves() -> None:
    node = leader(ONE)
    node.propose_configuration(ONE, voters(2, 3), 1)
    settle(node)

    assert node.configuration.outgoing == {1}
    assert node.raft.log.committed == node.raft.log.last_index - 1
