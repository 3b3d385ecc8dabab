"""Networks that are cut, both ways and one way, under load."""

from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import pytest

from podling.controlplane.store.requests import PutRequest, RangeRequest
from tests.faults.etcd_client import EtcdClient
from tests.faults.members import Member, Members
from tests.faults.namespaces import Networks, why_not
from tests.faults.rig import Rig

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "networks can be made"),
]


@pytest.fixture
def networks() -> Iterator[Networks]:
    with Networks(3) as made:
        yield made


@pytest.fixture
def members(folder: Path, networks: Networks) -> Iterator[Members]:
    with Members(folder, networks.places) as made:
        yield made


def others(members: Members, member: Member) -> list[Member]:
    return [each for each in members if each is not member]


async def test_a_leader_that_is_cut_off_from_the_others_is_replaced_and_answers_nothing(
    members: Members, networks: Networks
) -> None:
    async with Rig(members, 21) as rig:
        leader = await rig.leader()
        number = members.all.index(leader)
        rest = [each for each in range(3) if each != number]
        networks.cut([number], rest)
        await rig.ready(*others(members, leader))
        await rig.progress(100)
        with pytest.raises(grpc.aio.AioRpcError):
            await rig.client(leader).do(RangeRequest(b"k/0"))
        with pytest.raises(grpc.aio.AioRpcError):
            await rig.client(leader).do(PutRequest(b"k/cut", b"never"))
        networks.heal()
        await rig.ready()


async def test_a_member_that_hears_and_is_not_heard_stops_nobody(
    members: Members, networks: Networks
) -> None:
    async with Rig(members, 22) as rig:
        leader = members.all.index(await rig.leader())
        one, other = (each for each in range(3) if each != leader)
        for receiver in (leader, other):
            networks.cut_one_way(one, receiver)
        await rig.progress(100)
        networks.heal()
        await rig.ready()


async def test_a_leader_that_is_heard_and_does_not_hear_is_replaced(
    members: Members, networks: Networks
) -> None:
    async with Rig(members, 23) as rig:
        leader = await rig.leader()
        number = members.all.index(leader)
        for sender in range(3):
            if sender != number:
                networks.cut_one_way(sender, number)
        await rig.ready(*others(members, leader))
        await rig.progress(100)
        networks.heal()
        await rig.ready()


async def test_a_member_whose_plug_is_pulled_catches_up(
    members: Members, networks: Networks
) -> None:
    async with Rig(members, 24) as rig:
        networks.isolate(0)
        await rig.ready(members[1], members[2])
        await rig.progress(200)
        networks.heal()
        await rig.ready()


async def test_a_stale_read_does_not_pass(members: Members, networks: Networks) -> None:
    """What the judgement is worth: a read of a member that is cut off, which it gives to who asks
    for no more, is slipped in as one that asked for the newest."""
    stale = RangeRequest(b"k/0", serializable=True)
    with pytest.raises(AssertionError, match="a stale answer"):
        async with Rig(members, 25) as rig:
            networks.cut([0], [1, 2])
            await rig.ready(members[1], members[2])
            await rig.progress(100)
            recorder = rig.workload.recorder
            async with EtcdClient(members[0].place.client) as client:
                number = recorder.invoke("planted", stale._replace(serializable=False))
                recorder.returned(number, await client.do(stale))
            networks.heal()
            await rig.ready()
