import random
from pathlib import Path

import pytest

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.messages import Entry, EntryKind
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.storage import StoredState
from podling.controlplane.replica.members import membership
from podling.controlplane.replica.members.membership import configuration_of
from podling.controlplane.store.offline import force_new_cluster
from podling.controlplane.store.offline.errors import OfflineError
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.errors import DataDirectoryError
from podling.simulate.disk import MemoryDisk, PowerLost
from tests.controlplane.store.offline.directories import (
    ME,
    MEMBERS,
    THREE,
    WrittenMember,
    command_entry,
    configuration,
    put,
    recovered,
    written,
)

DISK = OsDisk()
PATH = Path("/m1")


def recover(path: Path) -> StoredState:
    force_new_cluster.carry_out(DISK, force_new_cluster.plan(DISK, path))
    return recovered(path)


def configuration_of_last(stored: StoredState) -> Configuration:
    assert stored.entries[-1].kind is EntryKind.CONFIGURATION
    return configuration_entry.decode(stored.entries[-1].data)


def test_the_member_is_alone_and_keeps_everything(tmp_path: Path) -> None:
    path = written(tmp_path / "m1")
    before = recovered(path)
    after = recover(path)

    assert after.snapshot == before.snapshot
    assert after.entries[:-1] == before.entries
    assert after.entries[-1].index == 10
    assert after.hard_state.commit == 10
    assert after.entries[-1].term == after.hard_state.term > before.hard_state.term
    alone = configuration_of_last(after)
    assert alone.members == {ME.member_id}
    known = membership.decode(alone.context)
    assert known.members == {ME.member_id: MEMBERS.members[ME.member_id]}
    assert known.removed == {0xB, 0xC}
    assert known.version > MEMBERS.version


def test_a_plan_tells_what_would_be_done_and_does_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "m1")
    files = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    plan = force_new_cluster.plan(DISK, path)

    assert (plan.commit, plan.last_index) == (8, 9)
    assert plan.before.voters == {0xA, 0xB, 0xC}
    assert not plan.is_done
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == files


def test_once_is_enough(tmp_path: Path) -> None:
    path = written(tmp_path / "m1")
    recover(path)

    assert force_new_cluster.plan(DISK, path).is_done


def test_a_learner_votes_for_itself_and_a_joint_configuration_ends(tmp_path: Path) -> None:
    member = WrittenMember(tmp_path / "m1")
    joining = MEMBERS.with_removed(0xA)
    learner = joining.members | {0xA: MEMBERS.members[0xA]}
    joint = configuration_of(membership.Membership(learner, frozenset({7})))
    half = Configuration(frozenset({0xB}), frozenset({0xC}), frozenset({0xA}), joint.context)
    member.write([configuration(1, half), command_entry(2, put(b"key"))], 0)
    member.stop()
    after = recover(tmp_path / "m1")

    alone = configuration_of_last(after)
    assert (alone.voters, alone.outgoing, alone.learners) == ({0xA}, set(), set())
    assert membership.decode(alone.context).removed == {7, 0xB, 0xC}


def test_a_log_that_a_snapshot_has_voided_does_not_count(tmp_path: Path) -> None:
    member = WrittenMember(tmp_path / "m1")
    alone = configuration_of(MEMBERS.with_removed(0xB).with_removed(0xC))
    stale = [command_entry(index, put(b"key")) for index in range(1, 9)]
    member.write([*stale, configuration(9, alone)], 1)
    member.save(5, THREE, term=2)
    member.stop()
    plan = force_new_cluster.plan(DISK, tmp_path / "m1")
    assert (plan.last_index, plan.commit, plan.is_done) == (5, 5, False)
    after = recover(tmp_path / "m1")

    assert [entry.index for entry in after.entries] == [6]
    assert after.entries[0].term == 3


def test_a_member_that_was_removed_is_refused(tmp_path: Path) -> None:
    member = WrittenMember(tmp_path / "m1")
    member.write([configuration(1, configuration_of(MEMBERS.with_removed(0xA)))], 1)
    member.stop()

    with pytest.raises(OfflineError, match=r"member a is not in its own configuration \(b, c\)"):
        force_new_cluster.plan(DISK, tmp_path / "m1")


def test_a_damaged_directory_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "m1")
    next(iter(sorted((path / "wal").iterdir()))).unlink()
    next(iter(sorted((path / "snapshots").iterdir(), reverse=True))).unlink()

    with pytest.raises(OfflineError, match=r"no member would start on .*podling store inspect"):
        force_new_cluster.plan(DISK, path)


def test_a_running_member_is_left_alone(tmp_path: Path) -> None:
    member = WrittenMember(tmp_path / "m1")
    member.write([command_entry(1, put(b"key"))], 1)
    plan = force_new_cluster.plan(DISK, tmp_path / "m1")
    with pytest.raises(DataDirectoryError, match="in use by another process"):
        force_new_cluster.carry_out(DISK, plan)

    member.write([command_entry(2, put(b"key"))], 2)
    member.stop()
    with pytest.raises(OfflineError, match="has been written to meanwhile"):
        force_new_cluster.carry_out(DISK, plan)


def begun(disk: MemoryDisk, size: int) -> StoredState:
    """A member on `disk`, stopped; what it would start with."""
    member = WrittenMember(PATH, disk, segment_bytes=600)
    first = Entry(1, 1, EntryKind.NOOP, b"")
    member.write([first, command_entry(2, put(b"key", b"v" * size))], 1)
    member.stop()
    return recovered(PATH, disk)


@pytest.mark.parametrize("size", [20, 590], ids=["the same segment", "a new segment"])
def test_killed_at_any_step_it_is_done_or_not(size: int) -> None:
    found = set()
    for seed in range(4):
        for steps in range(50):
            disk = MemoryDisk(random.Random(seed))
            before = begun(disk, size)
            plan = force_new_cluster.plan(disk, PATH)
            disk.cut_after(steps)
            try:
                force_new_cluster.carry_out(disk, plan)
                break
            except PowerLost:
                (disk.kill if seed % 2 else disk.crash)()
            after = recovered(PATH, disk)
            done = after != before
            found.add(done)
            assert after.entries[:2] == before.entries
            if done:
                assert configuration_of_last(after).members == {ME.member_id}
            again = force_new_cluster.plan(disk, PATH)
            assert again.is_done == done
            if not done:
                force_new_cluster.carry_out(disk, again)
            assert force_new_cluster.plan(disk, PATH).is_done
        assert 5 < steps < 49
    assert found == {False, True}
