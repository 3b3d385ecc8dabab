import pytest

from podling.controlplane.scheduler.pending import FOREVER, PendingConfig, PendingPods, Place

CONFIG = PendingConfig(backoff_first=1, backoff_cap=4, flush_after=100)


@pytest.fixture
def pending() -> PendingPods:
    return PendingPods(CONFIG)


def add(pending: PendingPods, *keys: str) -> None:
    for key in keys:
        pending.add(key, 0, now=0)


def test_priority_goes_first_and_then_who_came_first(pending: PendingPods) -> None:
    for key, priority in (("a", 0), ("b", 10), ("c", 0), ("d", 10)):
        pending.add(key, priority, now=0)
    assert [pending.pop() for _ in range(5)] == ["b", "d", "a", "c", None]


def test_a_changed_priority_counts(pending: PendingPods) -> None:
    add(pending, "a", "b")
    pending.add("b", 5, now=0)
    assert [pending.pop() for _ in range(3)] == ["b", "a", None]


def test_what_was_removed_is_not_handed_out(pending: PendingPods) -> None:
    add(pending, "a", "b")
    pending.remove("a")
    assert [pending.pop(), pending.pop()] == ["b", None]
    pending.remove("b")
    pending.unfit("b", now=0)
    assert len(pending) == 0


def test_an_unfit_pod_waits_for_a_change_and_for_its_back_off(pending: PendingPods) -> None:
    add(pending, "a")
    pending.pop()
    pending.unfit("a", now=10)
    pending.advance(50)
    assert pending.pop() is None
    pending.wake(now=50)
    assert pending.pop() == "a"
    pending.unfit("a", now=50)
    pending.wake(now=50.5)
    assert pending.place("a") is Place.BACKOFF
    assert pending.next_due() == 52
    pending.advance(51.9)
    assert pending.pop() is None
    pending.advance(52)
    assert pending.pop() == "a"


def test_the_back_off_doubles_up_to_its_cap(pending: PendingPods) -> None:
    add(pending, "a")
    delays = []
    for attempt in range(5):
        now = attempt * 10.0
        assert pending.pop() == "a"
        pending.failed("a", now)
        delays.append(pending.next_due() - now)
        pending.advance(now + 10)
    assert delays == [1, 2, 4, 4, 4]


def test_a_change_while_it_was_decided_is_not_missed(pending: PendingPods) -> None:
    add(pending, "a")
    pending.pop()
    pending.wake(now=0)
    pending.unfit("a", now=0)
    assert pending.place("a") is Place.BACKOFF


def test_a_change_of_the_pod_itself_while_it_was_decided_is_not_missed(
    pending: PendingPods,
) -> None:
    add(pending, "a")
    pending.pop()
    pending.add("a", 0, now=0)
    pending.unfit("a", now=0)
    assert pending.place("a") is Place.BACKOFF


def test_a_change_of_an_unfit_pod_wakes_it_alone(pending: PendingPods) -> None:
    add(pending, "a", "b")
    for key in ("a", "b"):
        pending.pop()
        pending.unfit(key, now=0)
    pending.add("b", 0, now=5)
    assert [pending.pop(), pending.pop()] == ["b", None]
    assert pending.place("a") is Place.UNSCHEDULABLE


def test_after_a_long_time_it_is_tried_for_no_reason(pending: PendingPods) -> None:
    add(pending, "a")
    pending.pop()
    pending.unfit("a", now=0)
    assert pending.next_due() == 100
    pending.advance(100)
    assert pending.pop() == "a"


def test_nothing_is_due_for_those_who_do_not_wait_for_time(pending: PendingPods) -> None:
    assert pending.next_due() == FOREVER
    add(pending, "a")
    assert pending.next_due() == FOREVER
