from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from podling.controlplane.raft.quorum import (
    Configuration,
    VoteResult,
    committed_index,
    has_quorum,
    vote_result,
)

MEMBERS = st.frozensets(st.integers(1, 7), min_size=1, max_size=5)
JOINT = st.builds(Configuration, MEMBERS, st.one_of(st.just(frozenset[int]()), MEMBERS))
SOME = st.frozensets(st.integers(1, 7))
VOTES = st.dictionaries(st.integers(1, 7), st.booleans())
ACKNOWLEDGED = st.dictionaries(st.integers(1, 7), st.integers(0, 9))


def test_three_voters_commit_what_two_have() -> None:
    configuration = Configuration(frozenset({1, 2, 3}))

    assert committed_index(configuration, {1: 5, 2: 3, 3: 4}) == 4
    assert committed_index(configuration, {1: 5}) == 0
    assert committed_index(configuration, {1: 5, 2: 2, 9: 9}) == 2


def test_a_joint_configuration_needs_both_majorities() -> None:
    configuration = Configuration(frozenset({1, 2, 3}), outgoing=frozenset({3, 4, 5}))

    assert committed_index(configuration, {1: 9, 2: 9, 3: 9}) == 0
    assert committed_index(configuration, {1: 9, 2: 9, 3: 7, 4: 5}) == 5
    assert vote_result(configuration, {1: True, 2: True}) is VoteResult.PENDING
    assert vote_result(configuration, {1: True, 2: True, 4: False, 5: False}) is VoteResult.LOST
    assert vote_result(configuration, {1: True, 2: True, 4: True, 5: True}) is VoteResult.WON


def test_learners_have_no_vote() -> None:
    configuration = Configuration(frozenset({1, 2, 3}), learners=frozenset({4, 5}))

    assert not has_quorum(configuration, {1, 4, 5})
    assert configuration.members == {1, 2, 3, 4, 5}


def test_no_voters_commit_nothing() -> None:
    assert committed_index(Configuration(), {1: 5}) == 0


@given(JOINT, ACKNOWLEDGED)
def test_the_committed_index_is_the_highest_with_a_quorum_behind_it(
    configuration: Configuration, acknowledged: dict[int, int]
) -> None:
    committed = max(
        index
        for index in range(10)
        if has_quorum(configuration, {m for m in range(1, 8) if acknowledged.get(m, 0) >= index})
    )

    assert committed_index(configuration, acknowledged) == committed


def majorities(voters: frozenset[int]) -> list[frozenset[int]]:
    """The smallest ones."""
    return [frozenset(some) for some in combinations(voters, len(voters) // 2 + 1)]


@given(MEMBERS)
def test_any_two_majorities_meet(voters: frozenset[int]) -> None:
    assert all(one & other for one in majorities(voters) for other in majorities(voters))


@given(MEMBERS, st.integers(1, 7))
def test_majorities_meet_after_a_change_by_one_voter(voters: frozenset[int], voter: int) -> None:
    """Which is why that takes no joint configuration (thesis 4.1)."""
    changed = voters ^ {voter}

    assert all(one & other for one in majorities(voters) for other in majorities(changed))


@given(JOINT, SOME)
def test_a_quorum_of_a_joint_configuration_meets_those_of_before_and_after(
    joint: Configuration, members: frozenset[int]
) -> None:
    """Which is why the two never decide apart from it (paper, section 6)."""
    if has_quorum(joint, members):
        assert all(members & other for half in joint.halves() for other in majorities(half))


@given(JOINT, SOME, SOME)
def test_more_members_are_never_less_of_a_quorum(
    configuration: Configuration, members: frozenset[int], more: frozenset[int]
) -> None:
    if has_quorum(configuration, members):
        assert has_quorum(configuration, members | more)


@given(JOINT, SOME, ACKNOWLEDGED, VOTES)
def test_learners_and_strangers_change_nothing(
    joint: Configuration, learners: frozenset[int], indexes: dict[int, int], votes: dict[int, bool]
) -> None:
    voters = joint.all_voters
    learning = replace(joint, learners=learners - joint.voters, context=b"names")
    own_indexes = {member: index for member, index in indexes.items() if member in voters}
    own_votes = {member: vote for member, vote in votes.items() if member in voters}

    assert committed_index(learning, indexes) == committed_index(joint, own_indexes)
    assert vote_result(learning, votes) is vote_result(joint, own_votes)


@given(JOINT, VOTES)
def test_an_election_is_won_or_lost_when_the_open_votes_cannot_change_it(
    configuration: Configuration, votes: dict[int, bool]
) -> None:
    granted = {member for member, vote in votes.items() if vote}
    still_open = configuration.all_voters - votes.keys()
    if has_quorum(configuration, granted):
        expected = VoteResult.WON
    elif has_quorum(configuration, granted | still_open):
        expected = VoteResult.PENDING
    else:
        expected = VoteResult.LOST

    assert vote_result(configuration, votes) is expected


@given(JOINT, ACKNOWLEDGED, st.integers(1, 7), st.integers(0, 9))
def test_the_committed_index_never_goes_back_when_one_more_is_acknowledged(
    configuration: Configuration, acknowledged: dict[int, int], member: int, index: int
) -> None:
    more = acknowledged | {member: max(index, acknowledged.get(member, 0))}

    assert committed_index(configuration, more) >= committed_index(configuration, acknowledged)
