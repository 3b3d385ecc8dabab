"""Replicated commands: what is encoded is what is decoded, and nothing else is accepted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podling.controlplane.store import auth_requests as auth
from podling.controlplane.store import requests as rq
from podling.controlplane.store.machine import commands

NUMBERS = st.integers(-(2**63), 2**63 - 1)
DATA = st.binary(max_size=8)
FLAG = st.booleans()

PUTS = st.builds(rq.PutRequest, DATA, DATA, NUMBERS, FLAG, FLAG, FLAG)
DELETES = st.builds(rq.DeleteRangeRequest, DATA, DATA, FLAG)
RANGES = st.builds(
    rq.RangeRequest, DATA, DATA, NUMBERS, NUMBERS, st.sampled_from(rq.SortOrder),
    st.sampled_from(rq.SortTarget), FLAG, FLAG, FLAG, NUMBERS, NUMBERS, NUMBERS, NUMBERS,
)  # fmt: skip
COMPARES = st.one_of(
    st.builds(
        rq.Compare,
        DATA,
        st.sampled_from([target for target in rq.CompareTarget if target.name != "VALUE"]),
        st.sampled_from(rq.CompareResult),
        NUMBERS,
        DATA,
    ),
    st.builds(
        rq.Compare,
        DATA,
        st.just(rq.CompareTarget.VALUE),
        st.sampled_from(rq.CompareResult),
        DATA,
        DATA,
    ),
)
TXNS = st.recursive(
    st.builds(rq.TxnRequest, st.lists(COMPARES, max_size=2), st.just(()), st.just(())),
    lambda inner: st.builds(
        rq.TxnRequest,
        st.lists(COMPARES, max_size=2),
        st.lists(PUTS | DELETES | RANGES | inner, max_size=3),
        st.lists(PUTS | DELETES | RANGES | inner, max_size=3),
    ),
    max_leaves=4,
)
NAMES = st.text(max_size=5)
MEMBERS = st.integers(0, 2**64 - 1)
PERMISSIONS = st.sampled_from(auth.PermissionType)
SINCE_2 = st.one_of(
    st.builds(
        rq.AlarmRequest, st.sampled_from(rq.AlarmAction), MEMBERS, st.sampled_from(rq.AlarmType)
    ),
    st.builds(rq.HashCheckRequest, MEMBERS, NUMBERS, NUMBERS, NUMBERS),
    st.builds(rq.LeaseExpireRequest, NUMBERS, NUMBERS),
    st.builds(auth.AuthEnableRequest),
    st.builds(auth.AuthDisableRequest),
    st.builds(auth.AuthenticateRequest, NAMES, DATA),
    st.builds(auth.UserAddRequest, NAMES, DATA, FLAG),
    st.builds(auth.UserDeleteRequest, NAMES),
    st.builds(auth.UserChangePasswordRequest, NAMES, DATA),
    st.builds(auth.UserGrantRoleRequest, NAMES, NAMES),
    st.builds(auth.UserRevokeRoleRequest, NAMES, NAMES),
    st.builds(auth.RoleAddRequest, NAMES),
    st.builds(auth.RoleDeleteRequest, NAMES),
    st.builds(auth.RoleGrantPermissionRequest, NAMES, PERMISSIONS, DATA, DATA),
    st.builds(auth.RoleRevokePermissionRequest, NAMES, DATA, DATA),
)
SINCE_1 = st.one_of(
    PUTS,
    DELETES,
    TXNS,
    st.builds(rq.CompactionRequest, NUMBERS, st.just(False)),
    st.builds(rq.LeaseGrantRequest, NUMBERS, NUMBERS),
    st.builds(rq.LeaseRevokeRequest, NUMBERS),
    st.builds(rq.LeaseKeepAliveRequest, NUMBERS),
    st.builds(rq.ClusterVersionRequest, NUMBERS),
)
IDENTITIES = st.builds(auth.Identity, NAMES, MEMBERS)
COMMANDS = SINCE_1 | SINCE_2 | st.builds(commands.OnBehalf, IDENTITIES, SINCE_1 | SINCE_2)


def plain(value: object) -> object:
    """Sequences of any kind as tuples, named by their type."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return (type(value).__name__, *map(plain, value))
    return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value


@settings(max_examples=300, deadline=None)
@given(COMMANDS)
def test_what_is_encoded_is_what_is_decoded(command: commands.Command) -> None:
    assert plain(commands.decode(commands.encode(command))) == plain(command)


@settings(max_examples=300, deadline=None)
@given(COMMANDS, st.data())
def test_a_command_cut_short_or_too_long_is_refused(
    command: commands.Command, data: st.DataObject
) -> None:
    whole = commands.encode(command)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for damaged in (whole[:cut], whole + b"\0"):
        with pytest.raises(commands.CommandError):
            commands.decode(damaged)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_random_bytes_are_refused_or_are_a_command(data: bytes) -> None:
    try:
        command = commands.decode(bytes([commands.VERSION]) + data)
    except commands.CommandError:
        return
    assert commands.encode(command)


def test_a_newer_version_says_what_to_do() -> None:
    with pytest.raises(commands.CommandError, match="upgrade this member"):
        commands.decode(bytes([commands.VERSION + 1]) + commands.encode(rq.PutRequest(b"a"))[1:])
