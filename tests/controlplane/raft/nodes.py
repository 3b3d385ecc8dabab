"""A single core, member 1, and what its peers answer as a test makes it up."""

import random

from podling.controlplane.raft.config import Config
from podling.controlplane.raft.messages import AppendResponse, Message, VoteResponse
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.rawnode import RawNode
from podling.controlplane.raft.state import Role
from podling.controlplane.raft.storage import first_start


def voters(*members: int, learners: set[int] | None = None, context: bytes = b"") -> Configuration:
    return Configuration(frozenset(members), learners=frozenset(learners or ()), context=context)


THREE = voters(1, 2, 3)


def member(configuration: Configuration, **limits: int) -> RawNode:
    return RawNode(Config(1, 10, 1, **limits), first_start(configuration), random.Random(1))


def settle(node: RawNode) -> list[Message]:
    """Do and write what the core wants; return what it sends."""
    messages: list[Message] = []
    while (ready := node.ready()) is not None:
        node.persisted(ready.number)
        node.advance(ready)
        messages += [*ready.messages, *ready.messages_after_persist]
    return messages


def leader(configuration: Configuration = THREE, **limits: int) -> RawNode:
    """Member 1, which leads in term 1 and whose log ends with its no-op, committed."""
    node = elected(configuration, **limits)
    for each in sorted(configuration.members - {1}):
        node.step(AppendResponse(each, 1, 1, 1))
    settle(node)
    return node


def elected(configuration: Configuration = THREE, **limits: int) -> RawNode:
    node = member(configuration, **limits)
    node.campaign_now()
    for pre in (True, False):
        settle(node)
        for voter in sorted(configuration.voters - {1}):
            node.step(VoteResponse(voter, 1, 1, granted=True, pre=pre))
    settle(node)
    assert node.role is Role.LEADER
    return node


def acknowledge(node: RawNode, *members: int) -> list[Message]:
    for each in members:
        node.step(AppendResponse(each, node.raft.id, node.term, node.raft.log.last_index))
    return settle(node)
