"""Members that join and leave under load, and a leader that is killed on the way."""

import pytest

from tests.faults.members import Members, loopback_places
from tests.faults.rig import READY_SECONDS, Rig

pytestmark = pytest.mark.e2e


async def test_a_member_is_replaced_under_load(members: Members) -> None:
    async with Rig(members, 71) as rig:
        await rig.progress()
        asked = rig.client(members[1])
        place = loopback_places(1)[0]
        await rig.until(lambda: asked.member_add(f"http://{place.peer}", learner=True))
        new_id = await rig.member_id(members[1], f"http://{place.peer}")
        new = members.join(place)
        new.start()
        await rig.connect(new)
        leader = await rig.leader()
        leader.kill()
        leader.start()
        await rig.ready(*members.all[:3])
        await rig.until(lambda: asked.member_promote(new_id))

        old = members[0]
        old_id = await rig.member_id(members[1], f"http://{old.place.peer}")
        await rig.until(lambda: asked.member_remove(old_id))

        rig.lost.add(old.name)
        assert old.wait(READY_SECONDS) != 0
        assert "removed" in old.said()
        await rig.ready()
        await rig.progress()
        old.start()
        assert old.wait(READY_SECONDS) != 0, "a removed member came back"
        await rig.progress()
