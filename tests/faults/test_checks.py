"""The checks beside linearizability find what they are for."""

import pytest

from podling.controlplane.store.key_values import Event
from podling.controlplane.store.requests import DeleteRangeRequest, PutRequest
from podling.simulate.store_model import Evaluation, Timeline
from tests.faults.checks import check_leases, check_watch
from tests.faults.workload import LEASE_TTL, Leased, Watched


@pytest.fixture
def timeline() -> Timeline:
    made = Timeline()
    for request in (PutRequest(b"a", b"1"), PutRequest(b"b", b"2"), DeleteRangeRequest(b"a")):
        made.extend(Evaluation(made, request).changes)
    return made


@pytest.fixture
def watched(timeline: Timeline) -> Watched:
    """One that was told everything."""
    events = []
    for revision in range(2, timeline.revision + 1):
        for key, kv in timeline.changed_at(revision).items():
            before = next(iter(timeline.range(key, b"", revision - 1)), None)
            events.append(Event(kv, before, not kv.version))
    return Watched("watch", events, [float(number) for number in range(len(events))])


def test_a_watch_that_was_told_everything_passes(watched: Watched, timeline: Timeline) -> None:
    check_watch(watched, timeline)


def test_a_gap_is_found(watched: Watched, timeline: Timeline) -> None:
    del watched.events[1]
    with pytest.raises(AssertionError, match="but next came"):
        check_watch(watched, timeline)


def test_a_missing_end_is_found(watched: Watched, timeline: Timeline) -> None:
    del watched.events[-1]
    with pytest.raises(AssertionError, match="told 2 of 3 changes"):
        check_watch(watched, timeline)


def test_what_is_told_twice_or_out_of_order_is_found(watched: Watched, timeline: Timeline) -> None:
    watched.events.insert(1, watched.events[0])
    with pytest.raises(AssertionError):
        check_watch(watched, timeline)
    del watched.events[0]
    watched.events.reverse()
    with pytest.raises(AssertionError, match="out of order"):
        check_watch(watched, timeline)


def test_another_value_before_is_found(watched: Watched, timeline: Timeline) -> None:
    last = watched.events[-1]
    watched.events[-1] = last._replace(previous=None)
    with pytest.raises(AssertionError, match="was told"):
        check_watch(watched, timeline)


def test_a_lease_that_goes_before_its_time_is_found(watched: Watched) -> None:
    lease = Leased(7, b"a", renewed=watched.arrived[-1] - LEASE_TTL)
    check_leases([lease], [watched])
    lease.renewed += 0.01
    with pytest.raises(AssertionError, match="lease 7"):
        check_leases([lease], [watched])
    lease.revoked = True
    check_leases([lease], [watched])
