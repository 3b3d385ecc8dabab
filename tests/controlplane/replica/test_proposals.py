import asyncio
import random
from collections.abc import Callable

import pytest

from podling.controlplane.replica.errors import NoLeader, ProposalTimeout, ReplicaStopped
from podling.controlplane.replica.proposals import (
    Proposal,
    Proposals,
    UnknownEnvelope,
    command_of,
)

Add = Callable[[bytes], Proposal]


@pytest.fixture
async def proposals() -> Proposals:
    proposer = random.Random(1).getrandbits(64)
    return Proposals(proposer, max_count=100, max_bytes=1000, max_command_bytes=100)


@pytest.fixture
async def add(proposals: Proposals) -> Add:
    loop = asyncio.get_running_loop()
    return lambda command: proposals.add(command, loop.create_future(), deadline=10.0)


def hand_over(proposals: Proposals, term: int, request: int = 0) -> list[Proposal]:
    batch = proposals.take(10_000)
    proposals.handed_over(batch, term, request)
    return batch


async def test_a_result_goes_to_its_proposer_only(proposals: Proposals, add: Add) -> None:
    mine = add(b"x")
    hand_over(proposals, term=1)
    other = Proposals(7, max_count=1, max_bytes=10, max_command_bytes=10)
    theirs = other.add(b"x", asyncio.get_running_loop().create_future(), 10.0)
    proposals.applied(theirs.data, "theirs")
    assert not mine.future.done()

    proposals.applied(mine.data, "mine")
    assert mine.future.result() == "mine"
    assert len(proposals) == 0
    assert command_of(mine.data) == b"x"


async def test_an_entry_of_a_later_term_means_lost_and_back_in_line(
    proposals: Proposals, add: Add
) -> None:
    first, second = add(b"1"), add(b"2")
    hand_over(proposals, term=3)
    third = add(b"3")
    proposals.entered_term(3)
    assert proposals.take(0) == [third]
    proposals.put_back([third])

    proposals.entered_term(4)
    assert proposals.take(10_000) == [first, second, third]


async def test_a_refused_request_goes_back_in_line(proposals: Proposals, add: Add) -> None:
    proposal = add(b"1")
    hand_over(proposals, term=3, request=9)
    proposals.refused(8)
    assert not proposals.waiting

    proposals.refused(9)
    assert proposals.take(10_000) == [proposal]


async def test_time_up_is_no_leader_in_line_and_unknown_after(
    proposals: Proposals, add: Add
) -> None:
    handed = add(b"1")
    hand_over(proposals, term=3, request=1)
    waiting = add(b"2")
    proposals.expire(9.9)
    assert not handed.future.done()

    proposals.expire(10.0)
    assert isinstance(handed.future.exception(), ProposalTimeout)
    assert isinstance(waiting.future.exception(), NoLeader)
    # Too late to be proposed again, whatever the leader says.
    proposals.refused(1)
    proposals.entered_term(4)
    assert not proposals.waiting
    assert len(proposals) == 0


async def test_a_snapshot_leaves_the_outcome_unknown(proposals: Proposals, add: Add) -> None:
    handed = add(b"1")
    hand_over(proposals, term=3)
    waiting = add(b"2")
    proposals.outcome_unknown("a snapshot")

    assert isinstance(handed.future.exception(), ProposalTimeout)
    assert proposals.take(10_000) == [waiting]


async def test_stopping_says_what_was_not_written(proposals: Proposals, add: Add) -> None:
    handed = add(b"1")
    hand_over(proposals, term=3)
    waiting = add(b"2")
    proposals.close(ReplicaStopped("bye"))

    assert isinstance(handed.future.exception(), ProposalTimeout)
    assert isinstance(waiting.future.exception(), ReplicaStopped)


async def test_room_is_given_back(proposals: Proposals, add: Add) -> None:
    for _ in range(50):
        batch = [add(b"x" * 100) for _ in range(10)]
        hand_over(proposals, term=1)
        for proposal in batch[:5]:
            proposals.applied(proposal.data, None)
        for proposal in batch[5:]:
            proposals.forget(proposal)
    assert len(proposals) == 0


async def test_a_batch_is_limited_but_never_empty(proposals: Proposals, add: Add) -> None:
    sent = [add(b"x" * 50) for _ in range(4)]

    assert proposals.take(0) == sent[:1]
    assert proposals.take(200) == sent[1:3]


def test_a_newer_envelope_is_named() -> None:
    with pytest.raises(UnknownEnvelope, match="format 9"):
        command_of(b"\x09" + bytes(30))
