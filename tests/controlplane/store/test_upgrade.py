"""Members are upgraded one at a time, and newer commands wait until the last one is.

The programs that meet are today's and one that knows no more than commands of version 1, which was
before authentication and alarms.
"""

import pytest

from podling.controlplane.store import auth_requests, errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.machine import commands
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.store_server import StoreServer
from tests.controlplane.store.members import Members
from tests.waiting import until

YESTERDAY, TODAY = 1, 2


def program(version: int) -> StoreConfig:
    """The settings of a member whose program knows commands of `version`."""
    return StoreConfig(
        min_lease_ttl=1, housekeeping_interval=0.02, command_version=version, bcrypt_cost=4
    )


def machine(version: int = commands.VERSION) -> StoreStateMachine:
    return StoreStateMachine(lambda: 0.0, max_pending_bytes=1000, command_version=version)


def versions(members: Members) -> set[int]:
    return {server.store.status().cluster_version for server in members.servers}


async def upgrade(members: Members, server: StoreServer) -> None:
    """Stop a member and start today's program on its disk."""
    await members.stop(server)
    await members.restart(server, program(TODAY))
    await until(
        lambda: all(len(each.replica.status().connected) == 2 for each in members.servers),
        "all are connected again",
    )


def test_today_is_the_newest_version() -> None:
    assert commands.VERSION == TODAY, "a new version: let this file upgrade to it"


async def test_newer_commands_are_proposed_when_the_last_member_is_upgraded(
    members: Members,
) -> None:
    one, two, three = await members.start(3, program(YESTERDAY))
    for server in (one, two):
        await upgrade(members, server)
    newest = members.servers[-1].store
    await newest.put(rq.PutRequest(b"a", b"1"))
    with pytest.raises(errors.NotCapable):
        await newest.auth.user_add("root", "secret")
    with pytest.raises(errors.NotCapable):
        await newest.alarms.handle(rq.AlarmRequest(rq.AlarmAction.ACTIVATE, 7, rq.AlarmType(1)))
    assert versions(members) == {YESTERDAY}

    await upgrade(members, three)
    await until(lambda: versions(members) == {TODAY}, "the cluster goes over")
    first, last = members.servers[0].store, members.servers[-1].store
    await first.auth.user_add("root", "secret")
    await first.auth.change(auth_requests.UserGrantRoleRequest("root", "root"))
    await first.auth.change(auth_requests.AuthEnableRequest())
    token = (await first.auth.authenticate("root", "secret")).token
    root = await last.auth.identify(token)
    assert list((await last.auth.user_list(user=root)).names) == ["root"]
    await last.put(rq.PutRequest(b"a", b"2"), user=root)
    with pytest.raises(errors.UserEmpty):
        await last.put(rq.PutRequest(b"a", b"3"))


async def test_a_cluster_that_has_only_just_begun_is_waited_for(members: Members) -> None:
    (server,) = await members.start(1, StoreConfig(housekeeping_interval=0.1, bcrypt_cost=4))
    await server.store.auth.user_add("root", "secret")


async def test_a_member_that_is_away_holds_the_cluster_back(members: Members) -> None:
    one, two, three = await members.start(3, program(YESTERDAY))
    for server in (one, two):
        await upgrade(members, server)
    await members.stop(three)
    await until(
        lambda: all(each.replica.common_command_version() == 0 for each in members.servers),
        "its absence is noticed",
    )
    await members.servers[0].store.put(rq.PutRequest(b"a", b"1"))
    assert versions(members) == {YESTERDAY}


@pytest.mark.parametrize(
    "command",
    [
        rq.ClusterVersionRequest(TODAY),
        auth_requests.RoleAddRequest("reader"),
        rq.AlarmRequest(rq.AlarmAction.ACTIVATE, 7, rq.AlarmType.NOSPACE),
        commands.OnBehalf(auth_requests.Identity("anna", 1), rq.PutRequest(b"a")),
    ],
)
def test_an_older_program_stops_at_what_it_does_not_know(command: commands.Command) -> None:
    older = machine(YESTERDAY)
    with pytest.raises(commands.CommandError, match="upgrade this member"):
        older.apply(1, 1, commands.encode(command))
    assert older.store.revision == machine().store.revision
    assert not isinstance(machine().apply(1, 1, commands.encode(command)), errors.StoreError)


PUT = rq.PutRequest(b"a", b"1", 7, prev_kv=True)
DELETE = rq.DeleteRangeRequest(b"a", b"\0", prev_kv=True)

#: As the program that knew version 1 only wrote them.
YESTERDAYS_COMMANDS: list[tuple[commands.Command, str]] = [
    (PUT, "010101000000000000000700000001000000016131"),
    (DELETE, "01020100000001610000000100"),
    (
        rq.TxnRequest(
            (rq.Compare(b"a", rq.CompareTarget.VALUE, rq.CompareResult.LESS, b"x", b"b"),),
            (PUT,),
            (DELETE,),
        ),
        "010300000001030200000001610000000162000000017800000001010100000000000000070000000100000001"
        "613100000001020100000001610000000100",
    ),
    (rq.CompactionRequest(3), "01050000000000000003"),
    (rq.LeaseGrantRequest(60, 7), "01060000000000000007000000000000003c"),
    (rq.LeaseRevokeRequest(7), "01070000000000000007"),
    (rq.LeaseKeepAliveRequest(7), "01080000000000000007"),
    (rq.ClusterVersionRequest(1), "01090000000000000001"),
]

#: a at revisions 2 and 4, attached to lease 7; b at 3, deleted at 5; compacted to 4.
YESTERDAYS_SNAPSHOT = (
    "706f646c696e675300010000000000000005000000000000000405000000010000000101000000010000000000000007"
    "000000000000003c02000000010000000000000003000000000000000300000000000000010000000000000000000000"
    "010000000162320300000002000000000000000200000000000000040000000000000002000000000000000700000001"
    "000000016133000000000000000000000000000000050000000000000000000000000000000000000001000000006204"
    "987523ea"
)


@pytest.mark.parametrize(("command", "written"), YESTERDAYS_COMMANDS, ids=range(8))
def test_what_was_there_before_is_written_as_before(
    command: commands.Command, written: str
) -> None:
    assert commands.encode(command).hex() == written
    assert commands.encode(commands.decode(bytes.fromhex(written))).hex() == written


def test_a_snapshot_of_yesterday_is_read_and_written_as_before() -> None:
    todays = machine()
    todays.take(todays.load([bytes.fromhex(YESTERDAYS_SNAPSHOT)]))
    assert (todays.store.revision, todays.store.compact_revision) == (5, 4)
    assert [kv.value for kv in todays.store.range(b"a", b"\0").kvs] == [b"3"]
    lease = todays.leases.get(7)
    assert lease is not None
    assert (lease.ttl, lease.keys) == (60, {b"a"})
    assert todays.cluster_version == YESTERDAY
    assert not todays.auth.enabled
    assert b"".join(todays.snapshot()).hex() == YESTERDAYS_SNAPSHOT


def test_the_version_of_a_cluster_never_goes_back() -> None:
    todays = machine(TODAY)
    for version in (TODAY, YESTERDAY):
        todays.apply(1, 1, commands.encode(rq.ClusterVersionRequest(version)))
    assert todays.cluster_version == TODAY


def test_a_snapshot_carries_the_version_of_the_cluster() -> None:
    todays = machine(TODAY)
    todays.apply(1, 1, commands.encode(rq.ClusterVersionRequest(TODAY)))
    todays.apply(2, 1, commands.encode(rq.PutRequest(b"a", b"1")))
    chunks = list(todays.snapshot())

    restored = machine(TODAY)
    restored.take(restored.load(chunks))
    assert restored.cluster_version == TODAY

    older = machine(YESTERDAY)
    with pytest.raises(commands.CommandError, match="upgrade this member"):
        older.take(older.load(chunks))
    assert older.store.revision == machine().store.revision
    assert older.cluster_version == commands.FIRST_VERSION
