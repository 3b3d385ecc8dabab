"""The leader's process is killed in the middle of writing; what it acknowledged is everywhere."""

import asyncio
import sys
from pathlib import Path

from tests.controlplane.replica.group import PATIENCE, QUICK_ELECTIONS, Group
from tests.controlplane.replica.linked_peers import Peers
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]


async def test_nothing_acknowledged_is_lost_when_the_leader_is_killed(tmp_path: Path) -> None:
    certificates = tmp_path / "certificates"
    peers = Peers.create(certificates)
    peers.issue("replica-1")
    settings = {"heartbeat_interval": 0.05, **QUICK_ELECTIONS}
    group = Group(tmp_path, peers.transport, peers.members, settings)
    await group.start(2, 3)
    command = [
        sys.executable, "-m", "tests.controlplane.replica.member_process",
        str(certificates), str(tmp_path / "replica-1"),
        *(member.peer_urls[0] for member in peers.members.values()),
    ]  # fmt: skip
    leader = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert leader.stdout is not None
        async with asyncio.timeout(2 * PATIENCE):
            acknowledged = [await leader.stdout.readline() for _ in range(500)]
            assert acknowledged[-1], "the leader's process has ended by itself"
            leader.kill()
            acknowledged += (await leader.stdout.read()).splitlines(keepends=True)
        commands = {line.strip() for line in acknowledged if line.endswith(b"\n")}
        await until(
            lambda: {each.status().leader_id for each in group.replicas.values()} <= {2, 3},
            "the others have a leader",
            group.describe,
        )
        await group.replicas[2].propose(b"after")
        assert commands <= set(await group.equal())

        # Its own disk is whole, too, and it joins again.
        await leader.wait()
        await group.start(1)
        await group.replicas[1].propose(b"again")
        assert commands | {b"after", b"again"} <= set(await group.equal())
        assert len(set(await group.equal())) == len(await group.equal())
    finally:
        if leader.returncode is None:
            leader.kill()
            await leader.wait()
        await group.stop()
