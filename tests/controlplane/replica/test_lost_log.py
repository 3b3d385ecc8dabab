"""A log that has lost what was acknowledged, or is lost itself: its member says what to do."""

import random
import shutil
from pathlib import Path

import pytest

from podling.controlplane.raft.messages import Heartbeat
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.wal.errors import DataDirectoryError
from podling.simulate.network import MemoryNetwork
from tests.controlplane.replica.contract_transport import Recorder
from tests.controlplane.replica.group import Group, memory_group
from tests.waiting import until


async def test_a_member_whose_acknowledged_entries_are_gone_ends_with_a_clear_text_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = MemoryNetwork(random.Random(1))
    members = {1: Member("replica-1", ("http://1",)), 2: Member("replica-2", ("http://2",))}
    group = Group(tmp_path, lambda config: network.transport(config.member_id), members)
    leader = network.transport(2)
    leader.set_members(members, frozenset(), 0)
    await leader.start(Recorder())
    await group.start(1)
    # A leader says so of no entry that it has not been told is on this member's disk.
    leader.send([Heartbeat(term=7, sender=2, to=1, commit=5)])
    await until(lambda: bool(group.failures), "the failure is reported")
    await group.stop()
    await leader.stop()

    (ended,) = [each for each in caplog.records if each.levelname == "CRITICAL"]
    assert "remove it from the cluster, and add it anew" in ended.getMessage()
    assert not ended.exc_info


async def test_a_member_whose_log_is_gone_does_not_start_though_nobody_else_is_there(
    tmp_path: Path,
) -> None:
    """Its snapshot says that it had one: it may have voted, and acknowledged what came later."""
    async with memory_group(tmp_path, snapshot_count=10) as (group, _):
        leader = await group.leader()
        for number in range(30):
            await leader.propose(b"%d" % number)
        await group.equal()
        await until(
            lambda: all(each.status().snapshot_index > 1 for each in group.replicas.values()),
            "all have a snapshot",
            group.describe,
        )
        await group.stop()
        shutil.rmtree(tmp_path / "replica-1" / "wal")

        with pytest.raises(
            DataDirectoryError, match=r"entry [0-9]+, but there is no log\. Restore"
        ):
            await group.start(1)
