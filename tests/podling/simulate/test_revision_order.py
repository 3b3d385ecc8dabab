"""The order by revisions: held against the search, and against stores that are wrong."""

import random
import time
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from podling.controlplane.store.requests import (
    DeleteRangeRequest,
    LeaseRevokeRequest,
    PutRequest,
    RangeRequest,
    RangeResponse,
)
from podling.simulate.histories import Operation, Outcome
from podling.simulate.linearizability import check
from podling.simulate.revision_order import RevisionOrder, check_revisions
from podling.simulate.store_model import StoreModel
from tests.podling.simulate.store_histories import EVERYTHING, World

SEEDS = st.integers(0, 2**32)
PUT = PutRequest(b"a", b"unique")


def world(seed: int, count: int = 10) -> World:
    made = World(random.Random(seed))
    made.run(count)
    return made


@given(SEEDS)
@settings(max_examples=100, deadline=None)
def test_a_correct_store_is_accepted_by_both(seed: int) -> None:
    made = world(seed)
    history = made.finish()
    assert check_revisions(history, made.events), str(check_revisions(history, made.events))
    assert check_revisions(history)
    assert check(history, StoreModel(), explain=False)


@given(SEEDS, st.integers(0, 9), st.integers(-2, 2), st.booleans())
@settings(max_examples=100, deadline=None)
def test_both_judge_a_spoilt_history_alike(
    seed: int, position: int, shift: int, late: bool
) -> None:
    """One response is of another revision, or one operation is at another time."""
    history = list(world(seed).finish())
    spoilt = history[position]
    if late:
        history[position] = replace(
            spoilt, invoked=spoilt.invoked + 4, returned=spoilt.returned + 4
        )
    elif spoilt.outcome is Outcome.OK:
        revision = max(1, spoilt.response.revision + shift)
        history[position] = replace(spoilt, response=spoilt.response._replace(revision=revision))
    assert bool(check_revisions(history)) == bool(check(history, StoreModel(), explain=False))


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_a_stale_read_is_refused(seed: int) -> None:
    made = world(seed)
    before = made.answer(EVERYTHING)
    made.do(PUT, known=True)
    made.run(7)
    made.do(EVERYTHING, lie=before)

    verdict = check_revisions(made.finish(), made.events)

    assert not verdict
    assert "stale" in verdict.reason
    assert not check(made.operations, StoreModel(), explain=False)


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_a_stale_read_that_lies_about_its_revision_is_refused(seed: int) -> None:
    made = world(seed)
    before = made.answer(RangeRequest(b"a"))
    made.do(PUT, known=True)
    made.do(RangeRequest(b"a"), lie=before._replace(revision=made.timeline.revision))
    assert not check_revisions(made.operations, made.events)


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_a_lost_write_is_refused(seed: int) -> None:
    made = world(seed)
    made.do(PUT, lost=True)
    made.run(3)
    history = made.finish()
    assert not check_revisions(history, made.events)
    # Without the watch, a deletion of unknown outcome can have come between.
    assert bool(check_revisions(history)) == bool(check(history, StoreModel(), explain=False))


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_a_write_that_happened_twice_is_refused(seed: int) -> None:
    made = world(seed)
    made.do(PUT, known=True)
    made.do(PUT, known=True)
    made.operations.pop()
    made.run(2)
    history = made.finish()
    assert not check_revisions(history, made.events)
    # Without the watch, another write of unknown outcome can have made the second revision.
    assert bool(check_revisions(history)) == bool(check(history, StoreModel(), explain=False))


def test_writes_in_another_order_than_in_time_are_refused() -> None:
    made = World(random.Random(1), unknown=0, overlap=0.4)
    made.do(PutRequest(b"a", b"1"))
    made.do(PutRequest(b"a", b"2"))
    one, two = made.operations
    swapped = [replace(one, response=two.response), replace(two, response=one.response)]

    verdict = check_revisions(swapped)

    assert set(verdict.operations) == set(swapped)
    assert "began when 3 was known" in verdict.reason


def test_what_was_refused_and_happened_all_the_same_is_found() -> None:
    made = World(random.Random(1), unknown=0)
    made.do(PUT)
    failed = replace(made.operations.pop(), outcome=Outcome.FAILED, response=None)
    made.operations.append(failed)
    verdict = check_revisions(made.finish())
    assert "revision 2 was made by no write" in str(verdict)


def test_a_lost_write_is_told_with_who_wrote_and_who_missed_it() -> None:
    made = World(random.Random(1), unknown=0, overlap=0.4)
    made.do(PUT)
    made.do(EVERYTHING, lie=RangeResponse(2, (), False, 0))
    put, read = made.operations
    verdict = check_revisions(made.operations)
    assert verdict.operations == (put, read)
    assert "revision 2 is lost or was not seen" in str(verdict)


def test_a_serializable_read_may_be_stale_but_not_wrong() -> None:
    made = World(random.Random(1), unknown=0, overlap=0.4)
    stale = RangeRequest(b"a", serializable=True)
    before = made.answer(stale)
    made.do(PUT)
    made.do(stale, lie=before)
    assert check_revisions(made.operations)
    made.do(stale, lie=before._replace(revision=2))
    assert not check_revisions(made.operations)


def test_a_lease_that_expires_explains_the_deletion_of_its_keys() -> None:
    made = World(random.Random(1), unknown=0)
    made.do(PutRequest(b"a", b"leased", lease=7))
    expiry = Operation("store", LeaseRevokeRequest(7), made.operations[0].invoked)
    made.do(LeaseRevokeRequest(7))
    made.operations.pop()
    made.finish()
    assert not check_revisions(made.operations, made.events)
    assert check_revisions([*made.operations, expiry], made.events)


def test_unknown_deletions_that_look_alike_are_all_tried() -> None:
    """Which of two deletions came first is only seen later."""
    made = World(random.Random(1), unknown=0)
    for key in (b"a", b"b"):
        made.do(PutRequest(key, b"1" + key))
    for request in (DeleteRangeRequest(b"a", b"c"), DeleteRangeRequest(b"a")):
        made.operations.append(Operation("gone", request, 0))
    made.do(DeleteRangeRequest(b"a"))
    made.operations.pop()
    made.do(PutRequest(b"a", b"2"))
    made.do(DeleteRangeRequest(b"a", b"c"))
    made.operations.pop()
    history = made.finish()
    assert check_revisions(history)
    assert check(history, StoreModel(), explain=False)


def test_many_thousand_operations_take_seconds() -> None:
    made = World(random.Random(5), unknown=0.05)
    made.run(20_000)
    history = made.finish()
    begun = time.perf_counter()
    assert check_revisions(history, made.events)
    assert time.perf_counter() - begun < 20


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_a_history_in_parts_is_judged_as_one(seed: int) -> None:
    made = World(random.Random(seed), overlap=0.4)
    order = RevisionOrder()
    done = 0
    for _ in range(4):
        made.run(5)
        assert order.judge(made.operations[done:], made.events)
        done = len(made.operations)
    history = list(made.finish())
    assert order.judge(history[done:])
    assert check_revisions(history, made.events)


def test_what_was_unknown_in_one_part_may_happen_in_a_later_one_and_once() -> None:
    made = World(random.Random(1), unknown=0, overlap=0.4)
    order = RevisionOrder()
    assert order.judge([Operation("gone", PUT, -1.0)])
    made.do(PUT)
    made.operations.clear()
    made.do(EVERYTHING)
    assert order.judge(made.operations)
    made.operations.clear()
    made.do(PUT)
    made.operations.clear()
    made.do(EVERYTHING)
    verdict = order.judge(made.operations)
    assert "revision 3 was made by no write" in str(verdict)
