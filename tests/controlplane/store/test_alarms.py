"""Alarms over real replicas: who raises them, and when."""

import asyncio
from dataclasses import replace

import pytest

from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.config import DEFAULT_QUOTA, NO_QUOTA, StoreConfig
from podling.controlplane.store.store import Store
from tests.controlplane.store.members import Members
from tests.waiting import until

CONFIG = StoreConfig(min_lease_ttl=1, housekeeping_interval=0.02)


async def put(store: Store, key: bytes, value: bytes = b"1") -> None:
    await store.put(rq.PutRequest(key, value))


async def clear(store: Store, alarm: rq.Alarm) -> None:
    await store.alarms.handle(rq.AlarmRequest(rq.AlarmAction.DEACTIVATE, *alarm))


async def test_over_its_quota_a_member_raises_an_alarm_for_all(members: Members) -> None:
    servers = await members.start(3, replace(CONFIG, quota_bytes=2000))
    await members.upgraded()
    one, two, three = (server.store for server in servers)
    await put(one, b"a", b"x" * 2000)
    with pytest.raises(errors.NoSpace):
        await put(one, b"b")
    await until(lambda: len(two.alarms.raised()) == 3, "every member has noticed")
    for store in (one, two, three):
        with pytest.raises(errors.NoSpace):
            await put(store, b"b")
        with pytest.raises(errors.NoSpace):
            await store.txn(rq.TxnRequest((), [rq.PutRequest(b"b")]))
        with pytest.raises(errors.NoSpace):
            await store.lease_grant(rq.LeaseGrantRequest(60))

    # What frees space is taken; the alarms stay until somebody takes them back.
    await two.delete_range(rq.DeleteRangeRequest(b"a"))
    await two.compact(rq.CompactionRequest(two.revision, physical=True))
    for store in (one, three):
        await store.linearize()
        await until(lambda store=store: store.status().size < 2000, "space is freed")  # type: ignore[misc]
    with pytest.raises(errors.NoSpace):
        await put(three, b"b")
    for alarm in one.alarms.raised():
        await clear(one, alarm)
    await put(three, b"b")


async def test_an_alarm_taken_back_too_early_comes_again(members: Members) -> None:
    (server,) = await members.start(1, replace(CONFIG, quota_bytes=1000))
    await members.upgraded()
    store = server.store
    await put(store, b"a", b"x" * 1000)
    await until(store.alarms.raised, "the member has noticed")
    (alarm,) = store.alarms.raised()
    await clear(store, alarm)
    with pytest.raises(errors.NoSpace):
        await put(store, b"b")
    assert store.alarms.raised() == [alarm]


async def test_an_alarm_is_proposed_once_however_many_writes_find_it(members: Members) -> None:
    (server,) = await members.start(1, replace(CONFIG, quota_bytes=1000, housekeeping_interval=600))
    store = server.store
    await store._proposer.propose(rq.ClusterVersionRequest(2))
    await put(store, b"a", b"x" * 1000)
    before = server.replica.applied_index
    outcomes = await asyncio.gather(*(put(store, b"b") for _ in range(20)), return_exceptions=True)
    assert {type(each) for each in outcomes} == {errors.NoSpace}
    assert len(store.alarms.raised()) == 1
    assert server.replica.applied_index == before + 1


async def test_an_alarm_outlives_a_restart(members: Members) -> None:
    (server,) = await members.start(1, replace(CONFIG, quota_bytes=1000))
    await members.upgraded()
    await put(server.store, b"a", b"x" * 1000)
    await until(server.store.alarms.raised, "the member has noticed")
    await members.stop(server)
    store = (await members.restart(server, CONFIG)).store
    with pytest.raises(errors.NoSpace):
        await put(store, b"b")


async def test_before_all_are_upgraded_a_member_looks_after_its_own_quota(members: Members) -> None:
    (server,) = await members.start(1, replace(CONFIG, quota_bytes=1000, command_version=1))
    store = server.store
    await put(store, b"a", b"x" * 1000)
    with pytest.raises(errors.NoSpace):
        await put(store, b"b")
    assert store.alarms.raised() == []


@pytest.mark.parametrize(("given", "meant"), [(0, DEFAULT_QUOTA), (-1, NO_QUOTA), (5, 5)])
def test_the_quota_has_a_default_and_may_be_none(given: int, meant: int) -> None:
    assert StoreConfig(quota_bytes=given).quota == meant


CHECKING = replace(CONFIG, corrupt_check_interval=0.05)


async def checked(store: Store, times: int) -> None:
    """Wait until the members were compared so often."""
    machine = store._machine
    tell, seen = machine.on_hash_check, []

    def told(check: rq.HashCheckRequest) -> None:
        seen.append(check)
        tell(check)

    machine.on_hash_check = told
    await until(lambda: len(seen) >= times, "members are compared")
    machine.on_hash_check = tell


async def test_members_with_equal_keys_raise_nothing(members: Members) -> None:
    servers = await members.start(3, CHECKING)
    await members.upgraded()
    for number in range(20):
        await put(servers[0].store, b"a%d" % (number % 3))
        if number % 5 == 4:
            store = servers[number % 3].store
            await store.linearize()
            await store.compact(rq.CompactionRequest(store.revision - 2, physical=number > 10))
    await checked(servers[0].store, 3)
    assert servers[1].store.alarms.raised() == []


@pytest.mark.parametrize("damage", ["another value", "a lost write"])
async def test_a_member_that_differs_raises_an_alarm_for_itself(
    members: Members, damage: str
) -> None:
    servers = await members.start(3, CHECKING)
    await members.upgraded()
    leader = await members.leader()
    follower = next(server for server in servers if server is not leader)
    await put(leader.store, b"a")
    await follower.store.linearize()
    mvcc = follower.store._machine.store
    if damage == "another value":
        mvcc.put(b"a", b"other", 0)
        mvcc.commit()
        await put(leader.store, b"b")
    else:
        mvcc.revision -= 1
    await until(leader.store.alarms.raised, "the difference is found")
    assert {each.member_id for each in leader.store.alarms.raised()} == {follower.replica.member_id}
    for server in servers:
        with pytest.raises(errors.Corrupt):
            await put(server.store, b"a")
    # Reading goes on, so that somebody can look.
    await leader.store.range(rq.RangeRequest(b"a"))
