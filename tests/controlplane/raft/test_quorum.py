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


@given(JOINT, st.dictionaries(st.integers(1, 7), st.integers(0, 9)))
def test_the_committed_index_is_the_highest_with_a_quorum_behind_it(
    configuration: Configuration, acknowledged: dict[int, int]
) -> None:
    committed = max(
        index
        for index in range(10)
        if has_quorum(configuration, {m for m in range(1, 8) if acknowledged.get(m, 0) >= index})
    )

    assert committed_index(configuration, acknowledged) == committed


@given(MEMBERS)
def test_any_two_majorities_meet(voters: frozenset[int]) -> None:
    configuration = Configuration(voters)
    majorities = [
        set(some)
        for size in range(len(voters) + 1)
        for some in combinations(voters, size)
        if has_quorum(configuration, set(some))
    ]

    assert all(one & other for one in majorities for other in majorities)
