from random import Random

from hypothesis import given
from hypothesis import strategies as st

from podling.aiokit.backoff import Backoff
from podling.kube.workqueue import WorkQueue


def make_queue() -> WorkQueue:
    return WorkQueue(Backoff(first=1.0, cap=8.0, dice=Random(1)))


def test_a_key_added_twice_is_handed_out_once() -> None:
    queue = make_queue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [queue.pop(), queue.pop(), queue.pop()] == ["a", "b", None]


def test_a_key_added_while_it_is_worked_on_comes_back_when_that_is_done() -> None:
    queue = make_queue()
    queue.add("a")
    assert queue.pop() == "a"
    queue.add("a")
    assert queue.pop() is None
    queue.done("a")
    assert queue.pop() == "a"
    queue.done("a")
    assert queue.idle


def test_a_delayed_key_is_ready_at_its_time_and_not_before() -> None:
    queue = make_queue()
    queue.add_after("a", 5, now=10)
    queue.advance(14.9)
    assert queue.pop() is None
    assert queue.next_due() == 15
    queue.advance(15)
    assert queue.pop() == "a"
    assert queue.next_due() is None


def test_of_two_delays_the_earlier_counts() -> None:
    queue = make_queue()
    queue.add_after("a", 5, now=0)
    queue.add_after("a", 2, now=0)
    queue.add_after("a", 9, now=0)
    assert queue.next_due() == 2
    queue.advance(2)
    assert queue.pop() == "a"
    queue.done("a")
    queue.advance(100)
    assert queue.pop() is None


def test_each_key_backs_off_on_its_own_until_it_is_forgotten() -> None:
    queue = make_queue()
    delays = [queue.retry("a", now=0) for _ in range(5)]
    assert [0.5 * 2**n <= delay <= 2**n for n, delay in enumerate(delays[:3])] == [True] * 3
    assert 4 <= delays[4] <= 8
    assert queue.retry("b", now=0) <= 1
    queue.forget("a")
    assert queue.retry("a", now=0) <= 1


@given(
    st.lists(st.tuples(st.sampled_from(["add", "pop", "done", "later"]), st.sampled_from("abc")))
)
def test_no_key_is_lost_nor_worked_on_twice_at_a_time(steps: list[tuple[str, str]]) -> None:
    queue = make_queue()
    needs: set[str] = set()
    working: set[str] = set()
    now = 0.0
    for verb, key in steps:
        now += 1
        if verb == "add":
            queue.add(key)
            needs.add(key)
        elif verb == "later":
            queue.add_after(key, 3, now)
            needs.add(key)
        elif verb == "done" and key in working:
            queue.done(key)
            working.discard(key)
        elif verb == "pop":
            queue.advance(now)
            popped = queue.pop()
            assert popped not in working
            if popped is not None:
                assert popped in needs
                needs.discard(popped)
                working.add(popped)
                if queue.next_due() is not None:
                    needs.add(popped)  # It may be due once more.
    for key in working:
        queue.done(key)
    queue.advance(now + 100)
    left = set()
    while (popped := queue.pop()) is not None:
        left.add(popped)
        queue.done(popped)
    assert left <= needs
    assert queue.idle
