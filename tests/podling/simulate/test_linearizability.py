"""The search for an order: judged by every order there is, and by what it says."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from podling.simulate.histories import Operation, Outcome
from podling.simulate.linearizability import (
    CompareAndSet,
    Model,
    Read,
    Registers,
    Write,
    check,
)


def done(client: str, request: object, begun: float, ended: float, answer: object) -> Operation:
    return Operation(client, request, begun, ended, answer, Outcome.OK)


def has_an_order(history: Sequence[Operation], model: Model) -> bool:
    """By trying all orders of all choices of what happened."""
    known = [each for each in history if each.outcome is Outcome.OK]
    unknown = [each for each in history if each.outcome is Outcome.UNKNOWN]
    return any(
        explains(order, model)
        for count in range(len(unknown) + 1)
        for chosen in itertools.combinations(unknown, count)
        for order in itertools.permutations([*known, *chosen])
    )


def explains(order: Sequence[Operation], model: Model) -> bool:
    state = model.initial()
    for number, operation in enumerate(order):
        if any(later.precedes(operation) for later in order[number + 1 :]):
            return False
        state, response = model.apply(state, operation.request)
        if operation.outcome is Outcome.OK and not model.agrees(response, operation.response):
            return False
    return True


REQUESTS = st.one_of(
    st.builds(Read, st.just("a")),
    st.builds(Write, st.just("a"), st.integers(1, 3)),
    st.builds(CompareAndSet, st.just("a"), st.integers(1, 3), st.integers(1, 3)),
)


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    request = draw(REQUESTS)
    begun = draw(st.integers(0, 6))
    outcome = draw(st.sampled_from([Outcome.OK] * 4 + [Outcome.UNKNOWN, Outcome.FAILED]))
    ended = draw(st.integers(begun, 7))
    if outcome is not Outcome.OK:
        return replace(Operation("c", request, begun), outcome=outcome)
    answers: st.SearchStrategy[object] = st.just(None)
    if isinstance(request, Read):
        answers = st.sampled_from([None, 1, 2, 3])
    elif isinstance(request, CompareAndSet):
        answers = st.booleans()
    return done("c", request, begun, ended, draw(answers))


@given(st.lists(operations(), max_size=6))
@settings(max_examples=300, deadline=None)
def test_the_verdict_is_that_of_all_orders(history: list[Operation]) -> None:
    assert bool(check(history, Registers())) == has_an_order(history, Registers())


@given(st.lists(operations(), max_size=6))
@settings(max_examples=300, deadline=None)
def test_the_operations_blamed_are_of_the_history_and_cannot_go_together(
    history: list[Operation],
) -> None:
    verdict = check(history, Registers())
    if not verdict:
        assert verdict.operations
        assert set(verdict.operations) <= set(history)
        assert not has_an_order(verdict.operations, Registers())


def test_a_stale_read_is_explained_by_the_two_writes_and_the_read() -> None:
    history = [done("writer", Write("a", n), n, n + 0.5, None) for n in range(1, 40)]
    history += [done("reader", Read("a"), n + 0.6, n + 0.9, n) for n in range(1, 39)]
    stale = done("reader", Read("a"), 39.6, 39.9, 38)

    assert check(history, Registers())
    verdict = check([*history, stale], Registers())

    assert verdict.operations[-1] == stale
    assert len(verdict.operations) <= 3
    assert "reader would be answered 39" in str(verdict)


def test_a_value_that_nobody_wrote_is_blamed_alone() -> None:
    history = [
        done("writer", Write("a", 1), 0, 1, None),
        done("reader", Read("a"), 2, 3, 1),
        done("reader", Read("a"), 4, 5, 7),
    ]
    verdict = check(history, Registers())
    assert verdict.operations == (history[2],)


def test_a_lost_write_is_found() -> None:
    history = [
        done("one", CompareAndSet("a", None, 1), 0, 1, True),
        done("two", CompareAndSet("a", None, 2), 2, 3, True),
    ]
    assert set(check(history, Registers()).operations) == set(history)


def test_an_unknown_write_may_come_late_and_only_once() -> None:
    unknown = Operation("writer", Write("a", 1), 0)
    late = [
        unknown,
        done("reader", Read("a"), 1, 2, None),
        done("other", Write("a", 2), 3, 4, None),
        done("reader", Read("a"), 5, 6, 1),
    ]
    assert check(late, Registers())
    again = [*late, done("other", Write("a", 3), 7, 8, None), done("reader", Read("a"), 9, 10, 1)]
    assert not check(again, Registers())


def test_a_write_that_failed_is_never_seen() -> None:
    failed = Operation("writer", Write("a", 1), 0, 1, None, Outcome.FAILED, "no leader")
    assert not check([failed, done("reader", Read("a"), 2, 3, 1)], Registers())


def test_keys_are_judged_on_their_own() -> None:
    history = [done("c", Write(key, 1), 0, 100, None) for key in range(50)]
    history += [done("c", Read(key), 0, 100, value) for key in range(50) for value in (None, 1)]
    assert check(history, Registers())
    assert not check([*history, done("c", Read(7), 101, 102, None)], Registers())


def test_many_concurrent_operations_and_unknown_outcomes_are_searched_quickly() -> None:
    dice = random.Random(3)
    value, history = 0, []
    for moment in range(100):
        begun, ended = moment - 5 * dice.random(), moment + 5 * dice.random()
        if dice.random() < 0.5:
            history.append(done("reader", Read("a"), begun, ended, value or None))
            continue
        value = moment + 1
        write = done("writer", Write("a", value), begun, ended, None)
        history.append(write.weakened() if dice.random() < 0.1 else write)
    assert check(history, Registers())
    history.append(done("reader", Read("a"), 500, 501, None))
    assert not check(history, Registers())
