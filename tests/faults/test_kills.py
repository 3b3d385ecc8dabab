"""kill -9 under load: leaders, followers, all at once."""

import random

import pytest

from tests.faults.members import Members
from tests.faults.rig import Rig

pytestmark = pytest.mark.e2e


async def test_nothing_is_lost_by_a_few_kills(members: Members) -> None:
    dice = random.Random(11)
    async with Rig(members, 11) as rig:
        for victim in (await rig.leader(), dice.choice(members.all)):
            await rig.progress()
            victim.kill()
            await rig.progress()
            victim.start()
            await rig.ready()
        for member in members:
            member.kill()
        for member in members:
            member.start()
        await rig.ready()
        await rig.progress()
