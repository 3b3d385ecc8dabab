"""Who the members are, as a value: what can be made of it, and its encoding."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.replica.errors import (
    MemberExists,
    MemberNotFound,
    MemberNotLearner,
    MemberRemoved,
    PeerUrlExists,
    TooManyLearners,
)
from podling.controlplane.replica.members.membership import (
    Member,
    Membership,
    UnknownMembership,
    configuration_of,
    decode,
    encode,
    membership_of,
)

URLS = st.lists(st.text(max_size=20), max_size=3).map(tuple)
MEMBERSHIPS = st.builds(
    Membership,
    st.dictionaries(
        st.integers(1, 2**64 - 1), st.builds(Member, st.text(), URLS, URLS, st.booleans())
    ),
    st.frozensets(st.integers(1, 2**64 - 1)),
    st.integers(0, 2**64 - 1),
)
THREE = Membership({n: Member(f"m{n}", (f"http://{n}",)) for n in (1, 2, 3)})


@given(MEMBERSHIPS)
def test_every_membership_comes_back(membership: Membership) -> None:
    assert decode(encode(membership)) == membership


@given(MEMBERSHIPS)
def test_equal_memberships_are_encoded_alike(membership: Membership) -> None:
    again = dict(reversed(membership.members.items()))

    assert encode(Membership(again, membership.removed, membership.version)) == encode(membership)


@given(st.binary())
def test_what_is_no_membership_is_named(data: bytes) -> None:
    with pytest.raises(UnknownMembership):
        decode(data)


def test_a_newer_format_is_named() -> None:
    newer = json.loads(encode(THREE)) | {"format": 2}
    with pytest.raises(UnknownMembership, match="format 2, this program knows 1"):
        decode(json.dumps(newer).encode())


@pytest.mark.parametrize("field", ["members", "removed", "version"])
def test_a_missing_field_is_named(field: str) -> None:
    value = json.loads(encode(THREE))
    del value[field]
    with pytest.raises(UnknownMembership, match=field):
        decode(json.dumps(value).encode())


def test_raft_is_told_who_votes() -> None:
    mixed = THREE.with_added(4, Member("", ("http://4",), learner=True))
    configuration = configuration_of(mixed)

    assert configuration.voters == {1, 2, 3}
    assert configuration.learners == {4}
    assert membership_of(configuration, Membership()) == mixed


def test_a_configuration_of_before_has_the_first_members() -> None:
    assert membership_of(Configuration(frozenset({1, 2, 3})), THREE) == THREE


def test_changes_are_counted_and_leave_the_rest_alone() -> None:
    changed = (
        THREE.with_added(4, Member("", ("http://4",), learner=True))
        .with_promoted(4)
        .with_published(4, "m4", ("http://c4",))
        .with_urls(4, ("http://5",))
        .with_removed(1)
    )

    assert changed.version == 5
    assert changed.removed == {1}
    assert changed.members == {
        2: THREE.members[2],
        3: THREE.members[3],
        4: Member("m4", ("http://5",), ("http://c4",)),
    }


def test_telling_what_is_known_is_no_change() -> None:
    assert THREE.with_published(2, "m2", ()) is THREE


def test_keeping_a_url_of_ones_own_is_no_conflict() -> None:
    assert THREE.with_urls(2, ("http://2", "http://22")).members[2].peer_urls[1] == "http://22"


def test_a_member_is_found_by_its_urls() -> None:
    several = THREE.with_urls(2, ("http://a", "http://b"))

    assert several.find(["http://b", "http://a"]) == 2
    assert several.find(["http://a"]) == 0


def test_addresses_are_those_of_the_urls() -> None:
    member = Member("", ("https://10.0.0.1:2380", "http://[::1]:2380"))

    assert member.addresses == ("10.0.0.1:2380", "[::1]:2380")


def test_what_cannot_be_is_refused() -> None:
    gone = THREE.with_removed(3)
    learner = THREE.with_added(4, Member("", ("http://4",), learner=True))
    with pytest.raises(MemberExists, match="member 2 is there already"):
        THREE.with_added(2, Member("", ("http://9",)))
    with pytest.raises(MemberRemoved, match="its id cannot be used again"):
        gone.with_added(3, Member("", ("http://9",)))
    with pytest.raises(PeerUrlExists, match="member 2 has the peer URL http://2"):
        THREE.with_added(4, Member("", ("http://9", "http://2")))
    with pytest.raises(PeerUrlExists):
        THREE.with_urls(1, ("http://2",))
    with pytest.raises(TooManyLearners):
        learner.with_added(5, Member("", ("http://5",), learner=True))
    with pytest.raises(MemberNotFound, match="there is no member 9"):
        THREE.with_removed(9)
    with pytest.raises(MemberRemoved):
        gone.with_removed(3)
    with pytest.raises(MemberNotLearner):
        THREE.with_promoted(1)
