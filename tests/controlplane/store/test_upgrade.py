"""Members are upgraded one at a time, and newer commands wait until the last one is."""

import pytest

from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.machine import commands
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.store_server import StoreServer
from tests.controlplane.store.members import Members
from tests.waiting import until

TOMORROW = commands.VERSION + 1


def program(version: int) -> StoreConfig:
    """The settings of a member whose program knows commands of `version`."""
    return StoreConfig(min_lease_ttl=1, housekeeping_interval=0.02, command_version=version)


def machine(version: int = commands.VERSION) -> StoreStateMachine:
    return StoreStateMachine(lambda: 0.0, max_pending_bytes=1000, command_version=version)


def versions(members: Members) -> set[int]:
    return {server.store.status().cluster_version for server in members.servers}


async def upgrade(members: Members, server: StoreServer) -> None:
    """Stop a member and start the program of tomorrow on its disk."""
    await members.stop(server)
    await members.restart(server, program(TOMORROW))
    await until(
        lambda: all(len(each.replica.status().connected) == 2 for each in members.servers),
        "all are connected again",
    )


@pytest.fixture
def newer_grants(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the program of tomorrow, leases are granted by a command that today's does not know."""
    monkeypatch.setattr(
        commands,
        "since",
        lambda command: TOMORROW if isinstance(command, rq.LeaseGrantRequest) else commands.VERSION,
    )


@pytest.mark.usefixtures("newer_grants")
async def test_newer_commands_are_proposed_when_the_last_member_is_upgraded(
    members: Members,
) -> None:
    one, two, three = await members.start(3, program(commands.VERSION))
    for server in (one, two):
        await upgrade(members, server)
    newest = members.servers[-1].store
    await newest.put(rq.PutRequest(b"a", b"1"))
    with pytest.raises(errors.NotCapable):
        await newest.lease_grant(rq.LeaseGrantRequest(60, 7))
    assert versions(members) == {commands.VERSION}

    await upgrade(members, three)
    await until(lambda: versions(members) == {TOMORROW}, "the cluster goes over")
    await members.servers[0].store.lease_grant(rq.LeaseGrantRequest(60, 7))
    assert list((await members.servers[-1].store.lease_leases()).ids) == [7]


async def test_a_member_that_is_away_holds_the_cluster_back(members: Members) -> None:
    one, two, three = await members.start(3, program(commands.VERSION))
    for server in (one, two):
        await upgrade(members, server)
    await members.stop(three)
    await until(
        lambda: all(each.replica.common_command_version() == 0 for each in members.servers),
        "its absence is noticed",
    )
    await members.servers[0].store.put(rq.PutRequest(b"a", b"1"))
    assert versions(members) == {commands.VERSION}


def test_an_older_program_stops_at_what_it_does_not_know() -> None:
    going_over = commands.encode(rq.ClusterVersionRequest(TOMORROW))
    with pytest.raises(commands.CommandError, match="upgrade this member"):
        machine().apply(1, 1, going_over)

    newer = bytes([TOMORROW]) + commands.encode(rq.PutRequest(b"a"))[1:]
    older, tomorrows = machine(), machine(TOMORROW)
    with pytest.raises(commands.CommandError, match=f"knows version {commands.VERSION}: upgrade"):
        older.apply(1, 1, newer)
    assert older.store.revision == machine().store.revision
    assert isinstance(tomorrows.apply(1, 1, newer), rq.PutResponse)


def test_the_version_of_a_cluster_never_goes_back() -> None:
    tomorrows = machine(TOMORROW)
    for version in (TOMORROW, commands.VERSION):
        tomorrows.apply(1, 1, commands.encode(rq.ClusterVersionRequest(version)))
    assert tomorrows.cluster_version == TOMORROW


def test_a_snapshot_carries_the_version_of_the_cluster() -> None:
    tomorrows = machine(TOMORROW)
    tomorrows.apply(1, 1, commands.encode(rq.ClusterVersionRequest(TOMORROW)))
    tomorrows.apply(2, 1, commands.encode(rq.PutRequest(b"a", b"1")))
    chunks = list(tomorrows.snapshot())

    restored = machine(TOMORROW)
    restored.restore(chunks)
    assert restored.cluster_version == TOMORROW

    older = machine()
    with pytest.raises(commands.CommandError, match="upgrade this member"):
        older.restore(chunks)
    assert older.store.revision == machine().store.revision
    assert older.cluster_version == commands.FIRST_VERSION
