"""The only voter adds a second one, which is started when that is done."""

import random

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.config import Config
from podling.controlplane.raft.messages import AppendRequest, Entry, EntryKind, SnapshotMeta
from podling.controlplane.raft.rawnode import RawNode, Ready
from podling.controlplane.raft.state import Role
from tests.controlplane.raft.member import Durable, Member
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


def asked_for_a_second() -> tuple[Member, Ready]:
    """A leader that has yet to write the change that adds a voter."""
    member = Member(Config(1, 10, 1), ONE, random.Random(1))
    member.node.campaign_now()
    finish(member)
    member.node.propose_configuration(ONE, TWO, 1)
    ready = member.take_ready()
    assert ready is not None
    assert ready.configuration == TWO
    return member, ready


def finish(member: Member) -> None:
    while member.take_ready() is not None:
        while member.writes:
            member.persist()


def test_it_crashes_when_its_disk_has_the_change_and_finds_it_made() -> None:
    member, ready = asked_for_a_second()
    member.disk.write(ready)
    member.crash()

    member.start()

    log = member.node.raft.log
    assert log.committed == log.last_index
    assert log.configurations.at(log.committed) == TWO


def test_it_crashes_before_its_disk_has_the_change_and_nothing_was_changed() -> None:
    member, _ = asked_for_a_second()
    member.crash()

    member.start()

    assert member.node.configuration == ONE
    member.node.campaign_now()
    finish(member)
    assert member.node.role is Role.LEADER


def test_it_is_decided_by_the_disk_although_it_leads_no_more() -> None:
    member, _ = asked_for_a_second()
    member.node.step_down()

    member.persist()

    assert member.node.role is Role.FOLLOWER
    assert member.node.raft.log.committed == member.node.raft.log.last_index


def test_one_of_two_does_not_find_a_change_made_that_only_it_has_written() -> None:
    disk = Durable(SnapshotMeta(configuration=TWO))
    data = configuration_entry.encode(voters(1, 2, 3))
    disk.entries = [Entry(1, 1, EntryKind.CONFIGURATION, data)]
    node = RawNode(Config(1, 10, 1), disk.stored(), random.Random(1))

    assert node.configuration == voters(1, 2, 3)
    assert node.raft.log.committed == 0
