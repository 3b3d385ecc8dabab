"""Members come and go while the others work: on the real disk and a network in memory."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.messages import Entry, EntryKind
from podling.controlplane.raft.storage import StoredState
from podling.controlplane.replica.errors import (
    LearnerNotReady,
    MemberExists,
    MemberNotFound,
    MemberNotLearner,
    MemberRemoved,
    NoLeader,
    NotEnoughStarted,
    NotForLearners,
    PeerUrlExists,
    ProposalTimeout,
    TooManyLearners,
    UnhealthyCluster,
)
from podling.controlplane.replica.members.membership import Member, Membership, configuration_of
from podling.controlplane.replica.recovery import save_members
from podling.controlplane.wal.data_dir import DataDir
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.segments import Identity
from podling.simulate.network import MemoryNetwork
from tests.controlplane.replica.group import QUICK_ELECTIONS, Group, memory_group
from tests.waiting import until

SMALL_LOG = {"snapshot_count": 20, "catch_up_entries": 5}


def changing_group(
    folder: Path, size: int = 3, **settings: float
) -> AbstractAsyncContextManager[tuple[Group, MemoryNetwork]]:
    """A removed member ends when an election has had its time, so that is short here."""
    return memory_group(folder, size, **QUICK_ELECTIONS, **settings)


def ids(membership: Membership) -> list[int]:
    return list(membership.members)


async def all_know(group: Group, *numbers: int) -> None:
    await until(
        lambda: all(ids(each.membership) == list(numbers) for each in group.replicas.values()),
        f"all know members {numbers}",
        lambda: str([each.membership for each in group.replicas.values()]),
    )


async def write(group: Group, number: int, count: int, label: bytes = b"") -> None:
    for each in range(count):
        await group.replicas[number].propose(b"%s%d" % (label, each))


async def ends_removed(group: Group, number: int) -> None:
    await until(
        lambda: any(name == f"replica-{number}" for name, _ in group.failures),
        f"replica-{number} has ended",
        group.describe,
    )
    (error,) = [error for name, error in group.failures if name == f"replica-{number}"]
    assert isinstance(error, MemberRemoved), error
    await group.replicas.pop(number).stop()
    group.failures.clear()


async def comes_back_in_vain(group: Group, number: int) -> None:
    """It may know from its disk that it was removed, or is told."""
    try:
        await group.start(number)
    except MemberRemoved:
        return
    await ends_removed(group, number)


async def test_a_member_joins_and_gets_all_that_was_written(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        await write(group, 1, 20)
        membership = await group.join(4)

        assert ids(membership) == [1, 2, 3, 4]
        await group.replicas[4].propose(b"from the new one")
        assert len(await group.equal()) == 21
        await all_know(group, 1, 2, 3, 4)


async def test_a_cluster_grows_from_one_to_five_and_shrinks_again(tmp_path: Path) -> None:
    async with changing_group(tmp_path, size=1) as (group, _):
        for number in range(2, 6):
            await group.join(number)
            await group.replicas[number].propose(b"%d" % number)
            await group.equal()
        for number in range(1, 5):
            await group.replicas[5].remove_member(number)
            await ends_removed(group, number)
        await group.replicas[5].propose(b"alone")

        assert await group.equal() == [b"2", b"3", b"4", b"5", b"alone"]
        assert ids(group.replicas[5].membership) == [5]
        assert group.replicas[5].membership.removed == {1, 2, 3, 4}


async def test_the_only_voter_crashes_before_it_could_say_that_a_second_one_was_added(
    tmp_path: Path,
) -> None:
    async with changing_group(tmp_path, size=1) as (group, _):
        await write(group, 1, 3)
        await group.stop()
        append_change(group, Member("", (group.url(2),)))

        await group.start(1)

        membership = group.replicas[1].membership
        assert ids(membership) == [1, 2]
        group.joining[2] = membership.members
        await group.start(2)
        await group.replicas[1].propose(b"both")
        assert len(await group.equal()) == 4


def append_change(group: Group, second: Member) -> None:
    """Leave in the log of member 1, which is stopped, what it writes when a second is added."""
    config = group.config(1)
    directory = DataDir.open(OsDisk(), config.data_dir, Identity(config.cluster_id, 1))
    recovered = directory.recover(StoredState())
    stored, writer = recovered.stored, recovered.writer
    after = Membership(config.members).with_added(2, second)
    data = configuration_entry.encode(configuration_of(after))
    last = stored.entries[-1]
    writer.open()()
    writer.append(None, [Entry(last.index + 1, last.term, EntryKind.CONFIGURATION, data)])()
    writer.close()()
    directory.close()


async def test_any_replica_changes_the_members(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        follower = (await group.leader_id()) % 3 + 1
        await group.join(4, by=follower)
        await all_know(group, 1, 2, 3, 4)
        membership = await group.replicas[4].remove_member(follower)

        assert follower not in membership.members
        await ends_removed(group, follower)


async def test_a_leader_removes_itself_and_the_others_go_on(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        leader = await group.leader_id()
        await write(group, leader, 10)
        await group.replicas[leader].remove_member(leader)
        await ends_removed(group, leader)
        survivor = next(iter(group.replicas))
        await group.replicas[survivor].propose(b"after")

        assert len(await group.equal()) == 11


async def test_a_follower_that_is_asked_to_remove_itself_answers_and_ends(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        follower = await group.leader_id() % 3 + 1
        membership = await group.replicas[follower].remove_member(follower)

        assert follower not in membership.members
        await ends_removed(group, follower)


async def test_a_dead_member_is_replaced(tmp_path: Path) -> None:
    async with changing_group(tmp_path, **SMALL_LOG) as (group, _):
        dead = await group.leader_id()
        await group.stop(dead)
        await write(group, dead % 3 + 1, 60)
        await group.compacted(20)
        await (await group.leader()).remove_member(dead)
        await group.join(4)
        await group.equal()
        await group.replicas[4].propose(b"whole again")

        assert len(await group.equal()) == 61
        assert group.ledgers[4].restored >= 1


async def test_a_removed_member_that_was_away_is_told_so_and_ends(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        away = (await group.leader_id()) % 3 + 1
        await group.stop(away)
        await (await group.leader()).remove_member(away)
        await comes_back_in_vain(group, away)
        (await group.leader()).status()


async def test_a_removed_member_that_comes_back_ends(tmp_path: Path) -> None:
    async with changing_group(tmp_path, size=1) as (group, _):
        await group.join(2)
        await group.replicas[2].propose(b"a")
        leader = await group.leader_id()
        await group.replicas[leader].remove_member(leader)
        await ends_removed(group, leader)
        await comes_back_in_vain(group, leader)


async def test_a_member_whose_disk_says_that_it_was_removed_does_not_start(tmp_path: Path) -> None:
    async with changing_group(tmp_path, size=1) as (group, _):
        await group.stop()
        config = replace(group.config(1), data_dir=tmp_path / "elsewhere" / "replica-1")
        disk = DataDir.open(OsDisk(), config.data_dir, Identity(config.cluster_id, 1))
        others = Membership({2: Member("replica-2", ("http://2",))}, frozenset({1}), 1)
        save_members(disk, configuration_of(others))
        disk.close()
        group.folder = tmp_path / "elsewhere"
        with pytest.raises(MemberRemoved, match="cannot come back"):
            await group.start(1)


async def test_a_learner_gets_the_log_and_has_no_vote(tmp_path: Path) -> None:
    async with changing_group(tmp_path, size=1) as (group, _):
        await group.join(2, learner=True)
        await group.replicas[1].propose(b"a")

        assert await group.equal() == [b"a"]
        assert group.replicas[2].status().learner
        assert not group.replicas[1].status().learner
        await group.stop(2)
        await group.replicas[1].propose(b"b")


async def test_a_learner_proposes_nothing_and_confirms_no_reads(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        await group.join(4, learner=True)
        learner = group.replicas[4]
        await all_know(group, 1, 2, 3, 4)
        with pytest.raises(NotForLearners):
            await learner.propose(b"a")
        with pytest.raises(NotForLearners):
            await learner.read_index()


async def test_a_learner_that_has_caught_up_is_promoted(tmp_path: Path) -> None:
    async with changing_group(tmp_path, size=1) as (group, _):
        await write(group, 1, 20)
        await group.join(2, learner=True)
        await group.equal()
        membership = await group.promote(2)

        assert membership.voters == {1, 2}
        await until(lambda: not group.replicas[2].status().learner, "it knows")
        await group.replicas[2].propose(b"it may now")
        assert len(await group.equal()) == 21


async def test_a_learner_that_is_away_is_not_promoted(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        leader = await group.leader()
        await leader.add_member(4, Member("", ("http://4",), learner=True))
        with pytest.raises(LearnerNotReady):
            await leader.promote_member(4)
        with pytest.raises(TooManyLearners):
            await leader.add_member(5, Member("", ("http://5",), learner=True))


async def test_what_cannot_be_is_refused_by_name(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        replica = group.replicas[1]
        before = replica.membership
        with pytest.raises(MemberExists):
            await replica.add_member(2, Member("", ("http://other",)))
        with pytest.raises(PeerUrlExists):
            await replica.add_member(4, Member("", ("http://2",)))
        with pytest.raises(PeerUrlExists):
            await replica.update_member(1, ("http://2",))
        with pytest.raises(MemberNotFound):
            await replica.remove_member(4)
        with pytest.raises(MemberNotLearner):
            await replica.promote_member(2)

        assert replica.membership == before


async def test_a_removed_id_is_not_used_again(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        leader = await group.leader()
        gone = next(n for n, each in group.replicas.items() if each is not leader)
        await leader.remove_member(gone)
        await ends_removed(group, gone)
        with pytest.raises(MemberRemoved):
            await leader.add_member(gone, Member("", ("http://new",)))
        with pytest.raises(MemberRemoved):
            await leader.remove_member(gone)


async def test_changes_that_could_cost_the_quorum_are_refused(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        leader = await group.leader()
        away = next(n for n, each in group.replicas.items() if each is not leader)
        await group.stop(away)
        with pytest.raises(UnhealthyCluster):
            await leader.add_member(4, Member("", ("http://4",)))
        here = next(n for n, each in group.replicas.items() if each is not leader)
        with pytest.raises(UnhealthyCluster):
            await leader.remove_member(here)
        await leader.remove_member(away)
        # Of two voters, one never started: nothing may be removed or added any more.
        await leader.add_member(5, Member("", ("http://5",)))
        with pytest.raises(NotEnoughStarted):
            await leader.remove_member(here)


async def test_without_a_majority_nothing_is_changed(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        left = await group.leader_id()
        await group.stop(*(number for number in (1, 2, 3) if number != left))
        with pytest.raises(NoLeader):
            await group.replicas[left].remove_member(left % 3 + 1, timeout=1)


async def test_changes_asked_for_at_once_are_made_one_after_another(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        await group.leader()
        await asyncio.gather(
            *(
                replica.publish(f"renamed-{number}", (f"http://client-{number}",))
                for number, replica in group.replicas.items()
            )
        )
        await until(
            lambda: len({each.membership for each in group.replicas.values()}) == 1, "all equal"
        )

        members = group.replicas[1].membership.members
        assert [each.name for each in members.values()] == ["renamed-1", "renamed-2", "renamed-3"]
        assert members[2].client_urls == ("http://client-2",)
        assert group.replicas[1].membership.version == 3


async def test_publishing_what_is_known_changes_nothing(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        membership = await group.replicas[1].publish("replica-1", ())

        assert membership.version == 0


async def test_subscribers_are_told_of_every_change(tmp_path: Path) -> None:
    async with changing_group(tmp_path) as (group, _):
        follower = (await group.followers())[0]
        told: list[Membership] = []
        unsubscribe = follower.subscribe_membership(told.append)
        leader = await group.leader()
        await leader.update_member(1, ("http://elsewhere",))
        await until(lambda: told, "told")
        unsubscribe()
        await leader.update_member(1, ("http://1",))
        await until(lambda: follower.membership.version == 2, "changed again")

        assert [each.members[1].peer_urls for each in told] == [("http://elsewhere",)]


async def test_members_survive_a_restart_of_everybody(tmp_path: Path) -> None:
    async with changing_group(tmp_path, **SMALL_LOG) as (group, _):
        await group.join(4)
        await group.equal()
        gone = (await group.leader_id()) % 4 + 1
        await group.replicas[await group.leader_id()].remove_member(gone)
        await ends_removed(group, gone)
        left = sorted(group.replicas)
        await write(group, left[0], 50)
        await group.stop()
        await group.start(*left)
        await group.replicas[left[1]].propose(b"after")

        assert len(await group.equal()) == 51
        await all_know(group, *left)
        assert group.replicas[left[0]].membership.removed == {gone}


async def test_a_member_that_was_away_while_all_others_were_replaced_finds_them(
    tmp_path: Path,
) -> None:
    async with changing_group(tmp_path, **SMALL_LOG) as (group, _):
        away = (await group.leader_id()) % 3 + 1
        others = [number for number in (1, 2, 3) if number != away]
        group.settings["strict_reconfiguration"] = False
        await group.stop()
        await group.start()
        await write(group, others[0], 10)
        await group.stop(away)
        for come, go in ((4, others[0]), (5, others[1])):
            await group.join(come, learner=True)
            await group.promote(come)
            await (await group.leader()).remove_member(go)
            await ends_removed(group, go)
        await write(group, 4, 50)
        await group.start(away)
        await group.equal()
        await group.replicas[away].propose(b"found them")

        assert len(await group.equal()) == 61
        await all_know(group, *sorted([away, 4, 5]))


async def test_nothing_is_lost_while_members_change_under_load(tmp_path: Path) -> None:
    async with changing_group(tmp_path, **SMALL_LOG) as (group, _), TaskSet("load") as tasks:
        written: list[bytes] = []
        doubtful: list[bytes] = []
        stop = asyncio.Event()

        async def load(writer: int) -> None:
            count = 0
            while not stop.is_set():
                command = b"%d-%d" % (writer, count)
                count += 1
                try:
                    await group.replicas[1].propose(command)
                    written.append(command)
                except ProposalTimeout:
                    # A snapshot came instead of the entry.
                    doubtful.append(command)

        writers = [tasks.spawn(load(writer), name=str(writer)) for writer in range(4)]
        await group.join(4)
        await group.join(5)
        for number in (2, 3):
            await group.replicas[1].remove_member(number)
            await ends_removed(group, number)
        await group.join(6, learner=True)
        await until(lambda: group.replicas[6].status().applied_index > 0, "the learner has begun")
        await group.promote(6)
        await until(lambda: len(written) > 50, "the load goes on")
        stop.set()
        await asyncio.gather(*writers)
        applied = await group.equal()

        assert len(applied) == len(set(applied))
        assert {*written} <= {*applied} <= {*written, *doubtful}
