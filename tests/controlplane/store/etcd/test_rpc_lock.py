"""The lock service: one holder at a time, in the order of coming, each bound to a lease."""

import asyncio

import pytest

from podling.controlplane.etcdpb import lock_pb2, rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store.store import Store
from tests.controlplane.store.etcd.direct import DirectClient
from tests.controlplane.store.members import PATIENCE, Members
from tests.waiting import until


@pytest.fixture
def client(member: Store) -> DirectClient:
    return DirectClient(member)


async def lease(client: DirectClient, ttl: int = 60) -> int:
    granted = await client.call("Lease/LeaseGrant", rpc_pb2.LeaseGrantRequest(TTL=ttl))
    return int(granted.ID)


async def lock(client: DirectClient, lease_id: int = 0) -> bytes:
    request = lock_pb2.LockRequest(name=b"door", lease=lease_id)
    async with asyncio.timeout(PATIENCE):
        return bytes((await client.call("v3lockpb.Lock/Lock", request)).key)


async def unlock(client: DirectClient, key: bytes) -> None:
    await client.call("v3lockpb.Lock/Unlock", lock_pb2.UnlockRequest(key=key))


async def in_line(client: DirectClient) -> int:
    found = rpc_pb2.RangeRequest(key=b"door/", range_end=b"door0", count_only=True)
    return int((await client.call("KV/Range", found)).count)


async def waiting(store: Store, count: int) -> None:
    """Until so many callers wait, each watching the one before it."""
    await until(lambda: store.status().watchers == count, f"{count} callers wait")


async def test_the_key_of_a_lock_is_that_of_etcds_own_recipe(client: DirectClient) -> None:
    lease_id = await lease(client)
    assert await lock(client, lease_id) == b"door/%x" % lease_id


async def test_the_holder_gets_it_again_and_others_wait_their_turn(
    client: DirectClient, member: Store
) -> None:
    leases = [await lease(client) for _ in range(3)]
    first = await lock(client, leases[0])
    assert await lock(client, leases[0]) == first
    async with asyncio.TaskGroup() as tasks:
        waiters = []
        for number in (1, 2):
            waiters.append(tasks.create_task(lock(client, leases[number])))
            await waiting(member, number)
        await unlock(client, first)
        second = await waiters[0]
        assert not waiters[1].done()
        await unlock(client, second)
        assert await waiters[1] == b"door/%x" % leases[2]


async def test_a_lock_without_a_lease_gets_one(client: DirectClient) -> None:
    key = await lock(client)
    lease_id = int(key.partition(b"/")[2], 16)
    asked = rpc_pb2.LeaseTimeToLiveRequest(ID=lease_id, keys=True)
    found = await client.call("Lease/LeaseTimeToLive", asked)
    assert (found.grantedTTL, list(found.keys)) == (60, [key])


async def test_a_lock_needs_a_lease_that_exists(client: DirectClient) -> None:
    with pytest.raises(errors.LeaseNotFound):
        await lock(client, 4711)


async def test_the_end_of_its_lease_opens_a_lock(client: DirectClient, member: Store) -> None:
    holder, other = await lease(client), await lease(client)
    await lock(client, holder)
    async with asyncio.TaskGroup() as tasks:
        waiter = tasks.create_task(lock(client, other))
        await waiting(member, 1)
        await client.call("Lease/LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=holder))
        assert await waiter == b"door/%x" % other


async def test_who_loses_the_lease_while_waiting_is_told(
    client: DirectClient, member: Store
) -> None:
    holder, other = await lease(client), await lease(client)
    held = await lock(client, holder)
    with pytest.raises(ExceptionGroup) as failed:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lock(client, other))
            await waiting(member, 1)
            await client.call("Lease/LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=other))
            await unlock(client, held)
    assert failed.group_contains(errors.SessionExpired)


async def test_who_stops_waiting_leaves_the_line_and_no_watch_behind(
    client: DirectClient, member: Store
) -> None:
    holder, other = await lease(client), await lease(client)
    await lock(client, holder)
    async with asyncio.TaskGroup() as tasks:
        waiter = tasks.create_task(lock(client, other))
        await waiting(member, 1)
        waiter.cancel()
    assert await in_line(client) == 1
    assert member.status().watchers == 0


async def test_a_lease_is_kept_while_its_owner_waits(
    members: Members, client: DirectClient, member: Store
) -> None:
    members.clock.hold()
    holder, other = await lease(client), await lease(client, ttl=2)
    held = await lock(client, holder)
    async with asyncio.TaskGroup() as tasks:
        waiter = tasks.create_task(lock(client, other))
        await waiting(member, 1)
        for _ in range(2):  # longer than the lease would last by itself
            members.clock.advance(1.5)
            await members.renewed(other)
        await unlock(client, held)
        assert await waiter
