"""The election service: campaign, proclaim, look, observe, resign."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from podling.controlplane.etcdpb import election_pb2, rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store.store import Store
from tests.controlplane.store.etcd.direct import DirectClient
from tests.controlplane.store.members import PATIENCE
from tests.waiting import until


@pytest.fixture
def client(member: Store) -> DirectClient:
    return DirectClient(member)


async def call(client: DirectClient, method: str, request: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await client.call(f"v3electionpb.Election/{method}", request)


async def campaign(client: DirectClient, value: bytes) -> election_pb2.LeaderKey:
    granted = await client.call("Lease/LeaseGrant", rpc_pb2.LeaseGrantRequest(TTL=60))
    request = election_pb2.CampaignRequest(name=b"chair", lease=granted.ID, value=value)
    leader: election_pb2.LeaderKey = (await call(client, "Campaign", request)).leader
    return leader


LOOK = election_pb2.LeaderRequest(name=b"chair")


async def test_the_first_to_campaign_leads_and_says_so(client: DirectClient) -> None:
    with pytest.raises(errors.NobodyElected, match="election: no leader"):
        await call(client, "Leader", LOOK)
    leader = await campaign(client, b"one")
    assert (leader.name, leader.key) == (b"chair", b"chair/%x" % leader.lease)
    seen = (await call(client, "Leader", LOOK)).kv
    assert (seen.key, seen.value, seen.create_revision) == (leader.key, b"one", leader.rev)


async def test_campaigning_again_only_changes_the_value(client: DirectClient) -> None:
    leader = await campaign(client, b"one")
    again = election_pb2.CampaignRequest(name=b"chair", lease=leader.lease, value=b"two")
    assert (await call(client, "Campaign", again)).leader == leader
    assert (await call(client, "Leader", LOOK)).kv.value == b"two"


async def test_only_the_leader_proclaims(client: DirectClient) -> None:
    leader = await campaign(client, b"one")
    await call(client, "Proclaim", election_pb2.ProclaimRequest(leader=leader, value=b"two"))
    seen = (await call(client, "Leader", LOOK)).kv
    assert (seen.value, seen.lease) == (b"two", leader.lease)
    await call(client, "Resign", election_pb2.ResignRequest(leader=leader))
    with pytest.raises(errors.NotElected, match="election: not leader"):
        await call(client, "Proclaim", election_pb2.ProclaimRequest(leader=leader, value=b"x"))
    await call(client, "Resign", election_pb2.ResignRequest(leader=leader))


@pytest.mark.parametrize("method", ["Proclaim", "Resign"])
async def test_the_leaders_key_is_needed(client: DirectClient, method: str) -> None:
    request = getattr(election_pb2, f"{method}Request")()
    with pytest.raises(errors.MissingLeaderKey, match="field must be provided"):
        await call(client, method, request)


async def test_observers_see_every_leader_and_every_value(
    client: DirectClient, member: Store
) -> None:
    observed = client.stream("v3electionpb.Election/Observe", LOOK)
    async with aclosing(observed), asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        # Nobody leads yet.
        told = tasks.create_task(anext(observed))
        await until(lambda: member.status().watchers == 1, "the observer waits")
        first = await campaign(client, b"one")
        assert (await told).kv.value == b"one"
        follower = tasks.create_task(campaign(client, b"two"))
        await call(client, "Proclaim", election_pb2.ProclaimRequest(leader=first, value=b"one!"))
        assert (await anext(observed)).kv.value == b"one!"
        await until(lambda: member.status().watchers == 2, "the follower waits")
        await call(client, "Resign", election_pb2.ResignRequest(leader=first))
        assert (await anext(observed)).kv.value == b"two"
        assert (await follower).key != first.key
    assert member.status().watchers == 0
