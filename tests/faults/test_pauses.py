"""SIGSTOP and SIGCONT under load: a leader that sleeps, and wakes in a world that went on."""

import pytest

from tests.faults.members import Members
from tests.faults.rig import Rig

pytestmark = pytest.mark.e2e


async def test_a_leader_that_was_paused_answers_nothing_old(members: Members) -> None:
    async with Rig(members, 51) as rig:
        for _ in range(2):
            leader = await rig.leader()
            leader.pause()
            await rig.ready(*(each for each in members if each is not leader))
            await rig.progress(40)
            leader.resume()
            await rig.progress(50)


async def test_nothing_happens_while_the_majority_sleeps_and_all_goes_on_afterwards(
    members: Members,
) -> None:
    async with Rig(members, 52) as rig:
        await rig.progress(50)
        asleep = members.all[:2]
        for member in asleep:
            member.pause()
        before = rig.workload.acknowledged
        with pytest.raises(TimeoutError):
            await rig.workload.make_progress(200, 1.5)
        # Reads of what a member has itself are answered all the same.
        assert rig.workload.acknowledged - before < 200
        for member in asleep:
            member.resume()
        await rig.ready()
        await rig.progress()
