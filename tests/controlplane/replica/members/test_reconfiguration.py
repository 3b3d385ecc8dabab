"""Changes of membership that could cost the quorum, by who is started and who is connected."""

import pytest

from podling.controlplane.replica.errors import NotEnoughStarted, UnhealthyCluster
from podling.controlplane.replica.members.membership import Member, Membership
from podling.controlplane.replica.members.reconfiguration import (
    check_add,
    check_promote,
    check_remove,
)

VOTER = Member("", ("http://new",))
LEARNER = Member("", ("http://new",), learner=True)


def members(started: int, waiting: int = 0) -> Membership:
    """Voters 1, 2, ..., of whom the last ones were never started."""
    names = [f"m{n}" for n in range(1, started + 1)] + [""] * waiting
    return Membership({n: Member(name, (f"http://{n}",)) for n, name in enumerate(names, start=1)})


def others(*numbers: int) -> frozenset[int]:
    """Connected to member 1, who is asked."""
    return frozenset(numbers)


def test_a_whole_cluster_takes_another_member() -> None:
    check_add(members(3), VOTER, 1, others(2, 3))
    check_add(members(3), LEARNER, 1, others(2, 3))


def test_a_single_member_takes_a_second_one() -> None:
    check_add(members(1), VOTER, 1, others())


@pytest.mark.parametrize("added", [VOTER, LEARNER])
def test_while_a_voter_is_away_none_is_added(added: Member) -> None:
    with pytest.raises(UnhealthyCluster, match="m3 is not connected"):
        check_add(members(3), added, 1, others(2))


def test_a_second_member_that_never_started_is_enough() -> None:
    with pytest.raises(NotEnoughStarted, match="1 of 2 voting members have been started"):
        check_add(members(1, waiting=1), VOTER, 1, others())
    with pytest.raises(NotEnoughStarted):
        check_add(members(2, waiting=1), VOTER, 1, others(2))


def test_a_learner_needs_nobodys_vote_but_connected_voters() -> None:
    with pytest.raises(UnhealthyCluster):
        check_add(members(1, waiting=1), LEARNER, 1, others())


def test_who_is_away_may_be_removed() -> None:
    check_remove(members(3), 3, 1, others(2))
    check_remove(members(2, waiting=1), 3, 1, others(2))


def test_who_is_needed_is_not_removed() -> None:
    with pytest.raises(UnhealthyCluster, match=r"without member 2, 1 of 2 .* m3 is away"):
        check_remove(members(3), 2, 1, others(2))
    with pytest.raises(UnhealthyCluster):
        check_remove(members(3), 1, 1, others(2))


def test_any_of_a_whole_cluster_may_be_removed() -> None:
    for number in (1, 2, 3):
        check_remove(members(3), number, 1, others(2, 3))


def test_the_last_one_is_not_removed() -> None:
    with pytest.raises(NotEnoughStarted):
        check_remove(members(1), 1, 1, others())


def test_a_started_one_is_not_removed_beside_one_that_never_was() -> None:
    with pytest.raises(NotEnoughStarted, match="1 voting members, 0 of them started"):
        check_remove(members(1, waiting=1), 1, 1, others())


def test_a_learner_may_always_be_removed() -> None:
    with_learner = members(1, waiting=1).with_added(7, LEARNER)
    check_remove(with_learner, 7, 1, others())


def test_a_learner_counts_as_started_when_it_is_promoted() -> None:
    check_promote(members(1).with_added(7, LEARNER), 7)
    check_promote(members(1, waiting=1).with_added(7, LEARNER), 7)
    with pytest.raises(NotEnoughStarted, match="with member 7, 2 of 4"):
        check_promote(members(1, waiting=2).with_added(7, LEARNER), 7)
