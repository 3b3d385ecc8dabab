from podling.controlplane.controllers.expectations import Expectations
from tests.controlplane.controllers.objects import pod


def test_what_was_created_is_pending_until_the_cache_shows_it() -> None:
    expectations = Expectations()
    expectations.expect_create("r", "a", now=0.0)
    assert expectations.pending("r", 1.0)
    expectations.observe("a", pod("a"))
    assert not expectations.pending("r", 1.0)


def test_what_was_deleted_is_pending_until_it_goes_or_is_going() -> None:
    for shown in (None, pod("a", deleting=True)):
        expectations = Expectations()
        expectations.expect_delete("r", "a", now=0.0)
        expectations.observe("a", pod("a"))
        assert expectations.pending("r", 1.0)
        expectations.observe("a", shown)
        assert not expectations.pending("r", 1.0)


def test_created_and_deleted_by_others_at_once_is_seen_too() -> None:
    expectations = Expectations()
    expectations.expect_create("r", "a", now=0.0)
    expectations.observe("a", None)
    assert not expectations.pending("r", 1.0)


def test_a_write_that_failed_is_not_waited_for() -> None:
    expectations = Expectations()
    expectations.expect_create("r", "a", now=0.0)
    expectations.give_up("a")
    assert not expectations.pending("r", 1.0)


def test_nothing_is_waited_for_forever() -> None:
    expectations = Expectations(timeout=5.0)
    expectations.expect_create("r", "a", now=0.0)
    expectations.expect_delete("r", "b", now=2.0)
    assert expectations.pending("r", 6.0)
    assert not expectations.pending("r", 7.0)


def test_owners_do_not_wait_for_each_other() -> None:
    expectations = Expectations()
    expectations.expect_create("r", "a", now=0.0)
    assert not expectations.pending("other", 0.0)
    expectations.forget("r")
    assert not expectations.pending("r", 0.0)
