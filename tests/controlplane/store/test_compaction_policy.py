"""What is forgotten, and when: etcd's two modes."""

import pytest

from podling.controlplane.store import compaction_policy
from podling.controlplane.store.compaction_policy import (
    ByRevision,
    Periodic,
    parse_retention,
)

HOUR = 3600.0


def history(policy: Periodic, looks: int, *, leading: bool = True) -> dict[float, int]:
    """What is forgotten, by time, if the revision counts the looks from 100 on."""
    forgotten = {}
    for look in range(looks):
        now = look * policy.interval
        if target := policy.look(now, 100 + look, leading=leading):
            forgotten[now] = target
            policy.compacted(now, target)
    return forgotten


def test_an_hour_of_history_is_kept_and_the_rest_forgotten_each_hour() -> None:
    policy = Periodic(HOUR, started=0.0)
    assert policy.interval == 360.0
    assert history(policy, 31) == {1 * HOUR: 100, 2 * HOUR: 109, 3 * HOUR: 119}


def test_a_long_period_is_kept_whole_and_compacted_each_hour() -> None:
    forgotten = history(Periodic(24 * HOUR, started=0.0), 261)
    assert forgotten == {24 * HOUR: 100, 25 * HOUR: 109, 26 * HOUR: 119}


def test_a_short_period_is_looked_at_ten_times() -> None:
    policy = Periodic(600.0, started=0.0)
    assert policy.interval == 60.0
    assert history(policy, 21) == {600.0: 100, 1200.0: 109}


def test_whoever_does_not_lead_forgets_nothing_and_can_go_on_as_leader() -> None:
    policy = Periodic(HOUR, started=0.0)
    assert history(policy, 25, leading=False) == {}
    assert policy.look(9000.0, 125, leading=True) == 114


def test_what_failed_is_tried_at_the_next_look() -> None:
    policy = Periodic(HOUR, started=0.0)
    for look in range(10):
        policy.look(look * 360.0, 100, leading=True)
    assert policy.look(3600.0, 100, leading=True) == 100
    assert policy.look(3960.0, 100, leading=True) == 100
    policy.compacted(3960.0, 100)
    assert policy.look(3960.0 + HOUR, 100, leading=True) == 0, "nothing new happened"


def test_a_number_of_revisions_is_kept() -> None:
    policy = ByRevision(1000)
    assert policy.look(0.0, 900, leading=True) == 0
    assert policy.look(300.0, 1500, leading=False) == 0
    assert policy.look(600.0, 1500, leading=True) == 500
    policy.compacted(600.0, 500)
    assert policy.look(900.0, 1500, leading=True) == 0
    assert policy.look(1200.0, 1600, leading=True) == 600


@pytest.mark.parametrize(
    ("mode", "text", "amount"),
    [
        ("periodic", "0", 0.0),
        ("periodic", "2", 2 * HOUR),
        ("periodic", "30m", 1800.0),
        ("periodic", "1h30m", 5400.0),
        ("periodic", "1.5h", 5400.0),
        ("periodic", "500ms", 0.5),
        ("revision", "1000", 1000.0),
        ("revision", "0", 0.0),
    ],
)
def test_a_retention_is_a_time_or_a_number(mode: str, text: str, amount: float) -> None:
    assert parse_retention(mode, text) == amount


@pytest.mark.parametrize(
    ("mode", "text", "words"),
    [
        ("periodic", "", "is not a duration"),
        ("periodic", "1 hour", "is not a duration"),
        ("periodic", "-1h", "is not a duration"),
        ("periodic", "h", "is not a duration"),
        ("revision", "1h", "is not a number of revisions"),
        ("revision", "-5", "is not a number of revisions"),
        ("", "1h", "must be periodic or revision"),
    ],
)
def test_what_is_neither_is_refused(mode: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_retention(mode, text)


def test_no_retention_is_no_policy() -> None:
    assert compaction_policy.policy("periodic", 0.0, now=5.0) is None
    assert isinstance(compaction_policy.policy("revision", 5.0, now=5.0), ByRevision)
    assert isinstance(compaction_policy.policy("periodic", 5.0, now=5.0), Periodic)
