"""SIGSTOP and SIGCONT under load: a leader that sleeps, and wakes in a world that went on."""

import pytest

from tests.faults.members import Members
from tests.faults.rig import Rig

pytestmark = pytest.mark.e2e


async def test_who_was_paused_answers_nothing_old(members: Members) -> None:
    async with Rig(members, 51) as rig:
        leader = await rig.leader()
        leader.pause()
        await rig.ready(*(each for each in members if each is not leader))
        await rig.progress(40)
        leader.resume()
        await rig.progress(40)

        # Without the majority, nobody who asks for the newest is answered.
        for member in members.all[:2]:
            member.pause()
        with pytest.raises(AssertionError, match="does not serve reads"):
            await rig.ready(members[2], seconds=1.5)
        for member in members.all[:2]:
            member.resume()
        await rig.ready()
        await rig.progress(40)
