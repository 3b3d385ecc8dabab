"""Who may call: the gate of one member, without any connection."""

import pytest

from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers.peer_security import (
    Caller,
    CallerRemoved,
    CallRefused,
    Gate,
    PeerTls,
    Way,
    way_of,
)

BY_NAME = PeerTls(b"", b"", b"")
BY_HOST = PeerTls(b"", b"", b"", by_host=True)
MEMBERS = {1: Member("one", ("http://1",)), 2: Member("two", ("http://2",))}


def gate(member_id: int, tls: PeerTls | None, version: int = 3) -> Gate:
    return Gate(0xC1, member_id, tls, MEMBERS, frozenset({9}), version)


def call(caller: Gate, called: Gate, name: str = "") -> Caller:
    """`caller` calls, with a certificate of that name."""
    auth = {"x509_common_name": [name.encode()]} if name else {}
    return called.admit(caller.call_metadata(called.member_id), auth)


def test_a_member_is_admitted_and_known_by_what_it_says() -> None:
    caller = call(gate(1, BY_NAME), gate(2, BY_NAME), "one")

    assert caller == Caller(1, 1, 2, 3, MEMBERS[1])


def test_a_program_of_before_is_taken_at_its_word() -> None:
    old = gate(1, None)
    old.wire_version = 1
    caller = call(old, gate(2, None))

    assert (caller.wire_version, caller.membership_version) == (1, 0)
    assert gate(2, None).common_version(old.answer_metadata()) == 1
    assert old.common_version(gate(2, None).answer_metadata()) == 1
    assert gate(1, None).common_version(gate(2, None).answer_metadata()) == 2


def test_a_version_that_is_newer_than_ours_is_not_spoken() -> None:
    assert gate(1, None).common_version([("podling-wire", "63")]) == 2


@pytest.mark.parametrize("tls", [None, BY_HOST])
def test_who_may_be_in_a_newer_list_is_admitted(tls: PeerTls | None) -> None:
    """A member that was away does not know those who came meanwhile."""
    assert call(gate(3, tls, version=4), gate(1, tls)).member_id == 3
    with pytest.raises(CallRefused, match="member 3 is not a peer"):
        call(gate(3, tls, version=3), gate(1, tls))


def test_by_name_a_newer_list_is_no_passport() -> None:
    """The authority signs certificates of others than members, too."""
    with pytest.raises(CallRefused, match="member 3 is not a peer"):
        call(gate(3, BY_NAME, version=4), gate(1, BY_NAME), "three")


def test_who_was_removed_is_told_so_whatever_it_knows() -> None:
    for version in (0, 99):
        with pytest.raises(CallerRemoved, match="member 9 was removed"):
            call(gate(9, None, version=version), gate(1, None))


def test_a_caller_cannot_be_the_called() -> None:
    with pytest.raises(CallRefused, match="member 1 is not a peer"):
        call(gate(1, None), gate(1, None))


def test_a_certificate_of_another_name_is_refused() -> None:
    with pytest.raises(CallRefused, match="the caller's certificate is for two, not for one"):
        call(gate(1, BY_NAME), gate(2, BY_NAME), "two")


def test_any_certificate_of_the_authority_will_do_by_host() -> None:
    assert call(gate(1, BY_HOST), gate(2, BY_HOST), "anybody").member_id == 1


def test_who_asks_for_the_members_must_be_one_by_name() -> None:
    gate(1, BY_NAME).check_stranger({"x509_common_name": [b"two"]})
    gate(1, BY_HOST).check_stranger({"x509_common_name": [b"anybody"]})
    gate(1, None).check_stranger({})
    with pytest.raises(CallRefused, match="for kubelet, who is no member"):
        gate(1, BY_NAME).check_stranger({"x509_common_name": [b"kubelet"]})


@pytest.mark.parametrize(
    ("url", "tls", "way"),
    [
        ("https://10.0.0.1:2380", BY_HOST, Way("10.0.0.1:2380", BY_HOST)),
        ("http://10.0.0.1:2380", BY_HOST, Way("10.0.0.1:2380", None)),
        ("http://[::1]:2380", BY_NAME, Way("[::1]:2380", BY_NAME)),
        ("10.0.0.1:2380", BY_HOST, Way("10.0.0.1:2380", BY_HOST)),
        ("https://10.0.0.1:2380", None, Way("10.0.0.1:2380", None)),
    ],
)
def test_by_host_the_url_says_whether_there_is_tls(url: str, tls: PeerTls | None, way: Way) -> None:
    assert way_of(url, tls) == way
