"""What one replica knows of the members: in force, applied, and whom to reach."""

from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.replica.members.membership import Member, Membership, configuration_of
from podling.controlplane.replica.members.roster import Roster

FIRST = {n: Member(f"m{n}", (f"http://{n}",)) for n in (1, 2, 3)}
THREE = Membership(FIRST)
FOUR = THREE.with_added(4, Member("", ("http://4",)))


def roster(member_id: int = 1, begins: Membership = THREE) -> Roster:
    made = Roster(member_id, FIRST)
    made.begin(configuration_of(begins))
    return made


def test_whoever_is_added_is_reached_before_it_is_committed() -> None:
    mine = roster()

    assert list(mine.reached(configuration_of(FOUR))) == [1, 2, 3, 4]
    assert mine.membership == THREE
    assert mine.newest(configuration_of(FOUR)) == FOUR


def test_whoever_is_removed_is_reached_until_it_is_committed() -> None:
    mine = roster()
    smaller = configuration_of(THREE.with_removed(3))

    assert list(mine.reached(smaller)) == [1, 2, 3]
    mine.applied(smaller)
    assert list(mine.reached(smaller)) == [1, 2]
    assert not mine.removed


def test_a_change_that_is_taken_back_leaves_nothing() -> None:
    mine = roster()
    mine.reached(configuration_of(FOUR))

    assert dict(mine.reached(configuration_of(THREE))) == FIRST


def test_a_new_address_counts_at_once() -> None:
    moved = THREE.with_urls(2, ("http://moved",))

    assert roster().reached(configuration_of(moved))[2].peer_urls == ("http://moved",)


def test_old_voters_of_a_joint_configuration_are_reached() -> None:
    mine = roster()
    mine.reached(configuration_of(THREE))
    later = configuration_of(FOUR.with_removed(3))
    joint = Configuration(later.voters, THREE.voters, context=later.context)
    mine.applied(joint)

    assert set(mine.reached(joint)) == {1, 2, 3, 4}
    mine.applied(later)
    assert set(mine.reached(later)) == {1, 2, 4}


def test_one_that_joins_reaches_those_it_was_told_of_until_it_is_in_the_list() -> None:
    mine = Roster(4, {**FIRST, 4: Member("m4", ("http://4",))})
    mine.begin(Configuration())

    assert mine.membership == Membership()
    assert set(mine.reached(Configuration())) == {1, 2, 3, 4}
    # It applies the log from its beginning, when it was no member.
    mine.applied(configuration_of(THREE))
    assert set(mine.reached(configuration_of(FOUR))) == {1, 2, 3, 4}
    now = configuration_of(FOUR.with_removed(2))
    mine.applied(now)
    assert set(mine.reached(now)) == {1, 3, 4}


def test_a_removed_one_reaches_those_who_are_left() -> None:
    mine = roster()
    smaller = configuration_of(THREE.with_removed(1))
    mine.applied(smaller)

    assert mine.removed
    assert set(mine.reached(smaller)) == {2, 3}


def test_a_log_that_is_applied_again_is_no_news() -> None:
    mine = roster(begins=FOUR)
    told: list[Membership] = []
    mine.subscribe(told.append)
    mine.applied(configuration_of(THREE))
    mine.applied(configuration_of(FOUR))
    assert mine.membership == FOUR
    assert told == []
    mine.applied(configuration_of(FOUR.with_removed(3)))

    assert [list(each.members) for each in told] == [[1, 2, 4]]


def test_subscribers_may_leave() -> None:
    mine = roster()
    told: list[Membership] = []
    leave = mine.subscribe(told.append)
    leave()
    leave()
    mine.applied(configuration_of(FOUR))

    assert told == []


def test_a_learner_is_one_from_what_it_was_told_on() -> None:
    mine = Roster(4, {**FIRST, 4: Member("", ("http://4",), learner=True)})
    mine.begin(Configuration())
    assert mine.learner
    added = THREE.with_added(4, Member("", ("http://4",), learner=True))
    mine.applied(configuration_of(added))
    assert mine.learner
    mine.applied(configuration_of(added.with_promoted(4)))

    assert not mine.learner
