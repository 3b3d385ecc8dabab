"""A cluster that starts does not wait for elections to time out, whatever befalls the first one."""

import random
from collections.abc import Sequence
from pathlib import Path

from podling.controlplane.raft.messages import AppendRequest, AppendResponse, Message
from podling.controlplane.replica.members.membership import Member
from podling.simulate.network import Delay, MemoryNetwork
from tests.controlplane.replica.group import Group


class Usurper(MemoryNetwork):
    """Answers the first thing that a leader ever says in the name of a candidate of a later term.

    So does a member whose disk was slow: it asks for votes when the others have a leader already.
    """

    def __init__(self) -> None:
        super().__init__(random.Random(1), Delay(0.005, 0.005))
        self.deposed = 0

    def deliver(self, messages: Sequence[Message]) -> None:
        said = next((each for each in messages if isinstance(each, AppendRequest)), None)
        if said is not None and not self.deposed:
            self.deposed = said.sender
            answer = AppendResponse(said.to, said.sender, said.term + 1, 0, rejected=True)
            messages = [answer]
        super().deliver(messages)


async def test_a_first_leader_that_is_deposed_at_once_is_followed_by_another(
    tmp_path: Path,
) -> None:
    network = Usurper()
    members = {number: Member(f"replica-{number}", (f"http://{number}",)) for number in (1, 2, 3)}
    group = Group(
        tmp_path,
        lambda config: network.transport(config.member_id),
        members,
        {"election_timeout": 600.0},
    )
    await group.start()
    try:
        await group.leader()
        assert network.deposed
    finally:
        await group.stop()
