"""What a member asks its leader has a number, by which it knows the answer.

A leader may answer long after it was asked: it waits for a majority, or for an entry of its term.
Should the member have been restarted meanwhile, the answer must not be taken for one to what it
asks now: a read would be answered as of then, and what was refused then be proposed twice.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from podling.controlplane.raft.messages import Message, ProposeRequest, ReadIndexRequest
from podling.controlplane.replica.members.membership import Member
from podling.simulate.network import MemoryNetwork
from tests.controlplane.replica.group import Group


class ListenedTo(MemoryNetwork):
    """Notes the numbers under which something was asked."""

    def __init__(self) -> None:
        super().__init__(random.Random(1))
        self.numbers: list[tuple[type[Message], int]] = []

    def deliver(self, messages: Sequence[Message]) -> None:
        self.numbers += [
            (type(each), each.request)
            for each in messages
            if isinstance(each, ReadIndexRequest | ProposeRequest)
        ]
        super().deliver(messages)


async def test_no_number_is_used_again_after_a_restart(tmp_path: Path) -> None:
    network = ListenedTo()
    members = {number: Member(f"replica-{number}", (f"http://{number}",)) for number in (1, 2, 3)}
    group = Group(tmp_path, lambda config: network.transport(config.member_id), members)
    await group.start()
    try:
        asks = await group.leader_id() % 3 + 1
        for _ in range(2):
            await group.replicas[asks].propose(b"something")
            await group.replicas[asks].read_index()
            await group.stop(asks)
            await group.start(asks)
            await group.leader()
    finally:
        await group.stop()

    assert {kind for kind, _ in network.numbers} == {ReadIndexRequest, ProposeRequest}
    assert len(set(network.numbers)) == len(network.numbers)
