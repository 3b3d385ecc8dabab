"""The way of one change of membership, from the call to its end."""

import asyncio

import pytest

from podling.controlplane.raft.messages import Refusal
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.replica.errors import NoLeader, ProposalTimeout, ReplicaStopped
from podling.controlplane.replica.members.pending_change import Change, PendingChange

BASE = Configuration(frozenset({1, 2, 3}), context=b"base")
PROPOSED = Configuration(frozenset({1, 2, 3, 4}), context=b"mine")
OTHER = Configuration(frozenset({1, 2}), context=b"other")


@pytest.fixture
def changes() -> PendingChange:
    return PendingChange()


@pytest.fixture
async def change(changes: PendingChange) -> Change:
    change = Change(BASE, PROPOSED, deadline=10.0)
    changes.begin(change)
    return change


async def test_it_waits_until_it_is_handed_over(changes: PendingChange, change: Change) -> None:
    assert changes.waiting is change
    changes.handed_over(change, term=3, request=7)

    assert changes.waiting is None


async def test_it_is_done_when_it_is_applied(changes: PendingChange, change: Change) -> None:
    changes.handed_over(change, term=3, request=7)
    changes.applied(PROPOSED)
    changes.applied(PROPOSED)

    assert await change.future is None


async def test_a_joint_configuration_on_the_way_is_not_the_end(
    changes: PendingChange, change: Change
) -> None:
    changes.handed_over(change, term=3, request=7)
    changes.applied(Configuration(PROPOSED.voters, BASE.voters, context=PROPOSED.context))
    assert not change.future.done()
    changes.applied(PROPOSED)

    assert await change.future is None


async def test_another_change_is_the_end_of_it(changes: PendingChange, change: Change) -> None:
    changes.handed_over(change, term=3, request=7)
    changes.applied(OTHER)

    assert await change.future is Refusal.CHANGED


async def test_what_is_applied_before_it_is_handed_over_says_nothing(
    changes: PendingChange, change: Change
) -> None:
    changes.applied(OTHER)
    changes.entered_term(9)

    assert not change.future.done()


async def test_its_own_refusal_counts_and_no_other(changes: PendingChange, change: Change) -> None:
    assert not changes.refused(0, Refusal.PENDING)
    changes.handed_over(change, term=3, request=7)
    assert not changes.refused(6, Refusal.PENDING)
    assert changes.refused(7, Refusal.LEARNER_BEHIND)
    assert not changes.refused(7, Refusal.LEARNER_BEHIND)

    assert await change.future is Refusal.LEARNER_BEHIND


async def test_an_entry_of_a_later_term_says_that_it_is_lost(
    changes: PendingChange, change: Change
) -> None:
    changes.handed_over(change, term=3, request=7)
    changes.entered_term(3)
    assert not change.future.done()
    changes.entered_term(4)

    assert await change.future is Refusal.NOT_NOW


async def test_a_snapshot_that_has_it_says_so(changes: PendingChange, change: Change) -> None:
    changes.handed_over(change, term=3, request=7)
    changes.restored(PROPOSED)

    assert await change.future is None


async def test_behind_another_snapshot_it_is_unknown(
    changes: PendingChange, change: Change
) -> None:
    changes.restored(OTHER)
    assert not change.future.done()
    changes.handed_over(change, term=3, request=7)
    changes.restored(OTHER)
    with pytest.raises(ProposalTimeout):
        await change.future


async def test_time_that_is_up_leaves_it_unknown_once_it_was_handed_over(
    changes: PendingChange, change: Change
) -> None:
    changes.expire(9.9)
    assert not change.future.done()
    changes.expire(10.0)
    with pytest.raises(NoLeader):
        await change.future
    late = Change(BASE, PROPOSED, deadline=10.0)
    changes.begin(late)
    changes.handed_over(late, term=3, request=7)
    changes.expire(10.0)
    with pytest.raises(ProposalTimeout):
        await late.future


async def test_who_asked_to_be_removed_is_answered_when_told_that_it_was(
    changes: PendingChange, change: Change
) -> None:
    changes.handed_over(change, term=3, request=7)
    changes.told_removed(4)
    assert not change.future.done()
    changes.told_removed(5)

    assert await change.future is None


async def test_a_stopping_replica_says_so(changes: PendingChange, change: Change) -> None:
    changes.close(ReplicaStopped("stopping"))
    with pytest.raises(ReplicaStopped):
        await change.future


async def test_nobody_may_be_waiting_any_more(changes: PendingChange, change: Change) -> None:
    change.future.cancel()
    changes.handed_over(change, term=3, request=7)
    changes.applied(PROPOSED)
    with pytest.raises(asyncio.CancelledError):
        await change.future
    changes.forget(change)
    assert changes.waiting is None
