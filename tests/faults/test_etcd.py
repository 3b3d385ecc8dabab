"""What the judgement is worth: it has nothing to say against a real etcd under the same kills."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.members import Members, loopback_places
from tests.faults.rig import Rig

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("etcd") is None, reason="there is no etcd (etcd-server)"),
]


@pytest.fixture
def members(folder: Path) -> Iterator[Members]:
    with Members(folder, loopback_places(3), program=["etcd"]) as made:
        yield made


async def test_etcd_loses_nothing_either(members: Members) -> None:
    async with Rig(members, 61) as rig:
        leader = await rig.leader()
        await rig.progress()
        leader.kill()
        await rig.progress()
        leader.start()
        await rig.ready()
