"""A disk that fills up, under the leader: it ends and says why, the others carry on, and with room
it is back."""

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from podling.controlplane.store.requests import PutRequest
from podling.simulate.histories import RecordingClient
from tests.faults.etcd_client import classify
from tests.faults.members import Member, Members, loopback_places
from tests.faults.rig import READY_SECONDS, Rig, holds

DISK_BYTES = 24 * 2**20

pytestmark = pytest.mark.e2e


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    path.mkdir()
    size = f"size={DISK_BYTES}"
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", size, "tmpfs", str(path)), capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(("umount", str(path)), check=True)


@pytest.fixture
def members(folder: Path) -> Iterator[Members]:
    if os.geteuid() != 0:
        pytest.skip("to mount a small tmpfs needs root")
    with contextlib.ExitStack() as disks:
        data = {
            name: disks.enter_context(small_disk(folder / f"disk-{name}")) / "data"
            for name in ("m1", "m2", "m3")
        }
        with Members(folder, loopback_places(3), data=data) as made:
            yield made


def fill(member: Member) -> Path:
    """Leave not a byte on its disk; returns what takes the room."""
    ballast = member.data.parent / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(2**16)):
            pass
    return ballast


async def test_a_leader_whose_disk_is_full_ends_and_comes_back(members: Members) -> None:
    async with Rig(members, 41) as rig:
        await rig.progress(40)
        leader = await rig.leader()
        ballast = fill(leader)
        others = [each for each in members if each is not leader]
        big = RecordingClient("big", rig.workload.recorder, rig.client(leader).do, classify)

        async def ended() -> bool:
            """It has room in the file that it has begun, until that is full."""
            await big.do(PutRequest(b"big", b"%d" % next(numbers) + bytes(100_000)))
            return not leader.running

        numbers = itertools.count()
        await holds(ended, "the full disk ends the leader", members.said, pause=0)
        assert leader.wait(READY_SECONDS) != 0
        assert "No space left on device" in leader.said()
        await rig.ready(*others)
        await rig.progress(40)

        ballast.unlink()
        leader.start()
        await rig.ready()
