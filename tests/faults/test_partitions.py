"""Networks that are cut, both ways and one way, under load."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import pytest

from podling.controlplane.store.requests import PutRequest, RangeRequest
from podling.simulate.histories import RecordingClient
from tests.faults.etcd_client import EtcdClient, classify
from tests.faults.members import Member, Members
from tests.faults.namespaces import Networks, why_not
from tests.faults.rig import READY_SECONDS, Rig, holds

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
        await rig.progress(40)
        with pytest.raises(grpc.aio.AioRpcError):
            await rig.client(leader).do(RangeRequest(b"k/0"))
        with pytest.raises(grpc.aio.AioRpcError):
            await rig.client(leader).do(PutRequest(b"k/cut", b"never"))
        networks.heal()
        await rig.ready()


async def test_cuts_of_one_direction_and_a_pulled_plug_lose_nothing(
    members: Members, networks: Networks
) -> None:
    async with Rig(members, 22) as rig:
        # A member that hears the others and is not heard stops nobody.
        leader = members.all.index(await rig.leader())
        mute = (leader + 1) % 3
        for receiver in set(range(3)) - {mute}:
            networks.cut_one_way(mute, receiver)
        await rig.progress(40)
        networks.heal()

        # A leader that is heard and does not hear is replaced.
        deaf = await rig.leader()
        for sender in set(range(3)) - {members.all.index(deaf)}:
            networks.cut_one_way(sender, members.all.index(deaf))
        await rig.ready(*others(members, deaf))
        await rig.progress(40)
        networks.heal()

        # One that nobody reaches catches up.
        networks.isolate(0)
        await rig.ready(members[1], members[2])
        await rig.progress(40)
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
            await rig.progress(40)
            recorder = rig.workload.recorder
            newer = RecordingClient("newer", recorder, rig.client(members[1]).do, classify)
            numbers = itertools.count()

            async def written() -> bool:
                put = PutRequest(b"k/0", b"newer-%d" % next(numbers))
                return await newer.do(put) is not None

            await holds(written, "the others have a newer value")
            async with EtcdClient(members[0].place.client) as client:
                number = recorder.invoke("planted", stale._replace(serializable=False))
                recorder.returned(number, await client.do(stale, READY_SECONDS))
            networks.heal()
            await rig.ready()
