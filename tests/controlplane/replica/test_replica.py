"""Replicas in one process, on the real disk and a network in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from podling.aiokit.tasks import TaskSet
from podling.controlplane.replica.errors import (
    NoLeader,
    ProposalTimeout,
    ProposalTooLarge,
    ReplicaError,
    ReplicaStopped,
    TooManyProposals,
)
from podling.controlplane.replica.replica import Replica
from podling.controlplane.wal.errors import DataDirectoryError
from tests.controlplane.replica.group import PATIENCE, QUICK_ELECTIONS, memory_group
from tests.waiting import until


@pytest.fixture
async def tasks() -> AsyncIterator[TaskSet]:
    async with TaskSet("test") as owned:
        yield owned


async def outcome(work: Awaitable[object]) -> object:
    """What `work` returns or raises."""
    try:
        return await work
    except ReplicaError as error:
        return error


async def write(replica: Replica, first: int, last: int) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(first, last + 1):
            group.create_task(replica.propose(b"%d" % number))


async def test_a_starting_cluster_has_a_leader_at_once(tmp_path: Path) -> None:
    async with memory_group(tmp_path, election_timeout=60.0) as (group, _):
        await group.leader()


async def test_any_replica_takes_proposals_and_gets_the_result(tmp_path: Path) -> None:
    async with memory_group(tmp_path) as (group, _):
        results = [
            await replica.propose(b"from %d" % number) for number, replica in group.replicas.items()
        ]

        assert results == [(1, b"from 1"), (2, b"from 2"), (3, b"from 3")]
        assert await group.equal() == [b"from 1", b"from 2", b"from 3"]


async def test_many_proposals_at_once_keep_the_order_of_each_proposer(tmp_path: Path) -> None:
    async with memory_group(tmp_path) as (group, _):
        await asyncio.gather(*(write(each, 0, 200) for each in group.replicas.values()))

        assert len(await group.equal()) == 603


async def test_a_single_replica_is_a_cluster(tmp_path: Path) -> None:
    async with memory_group(tmp_path, size=1) as (group, _):
        assert await group.replicas[1].propose(b"x") == (1, b"x")
        assert await group.replicas[1].read_index() == 2


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async with memory_group(tmp_path) as (group, _):
        await write(await group.leader(), 1, 50)
        before = await group.equal()
        await group.stop()
        await group.start()
        await group.leader()
        await group.replicas[1].propose(b"after")

        assert await group.equal() == [*before, b"after"]


async def test_a_follower_that_was_away_catches_up(tmp_path: Path) -> None:
    async with memory_group(tmp_path) as (group, _):
        leader = await group.leader_id()
        away = leader % 3 + 1
        await group.stop(away)
        await write(group.replicas[leader], 1, 30)
        await group.start(away)

        assert len(await group.equal()) == 30


async def test_a_follower_that_was_away_too_long_gets_a_snapshot(tmp_path: Path) -> None:
    settings = {"snapshot_count": 20, "catch_up_entries": 5}
    async with memory_group(tmp_path, **settings) as (group, _):
        leader = await group.leader_id()
        away = leader % 3 + 1
        await group.stop(away)
        for number in range(100):
            await group.replicas[leader].propose(b"%d" % number)
        await group.compacted(50)
        await group.start(away)

        assert len(await group.equal()) == 100
        assert group.ledgers[away].restored >= 1
        await group.replicas[away].propose(b"more")
        assert len(await group.equal()) == 101


async def test_snapshots_of_leaders_do_not_pile_up(tmp_path: Path) -> None:
    settings = {"snapshot_count": 20, "catch_up_entries": 1}
    async with memory_group(tmp_path, **settings) as (group, network):
        leader = await group.leader_id()
        away = leader % 3 + 1
        kept = tmp_path / f"replica-{away}" / "snapshots"
        for times in range(1, 5):
            network.isolate(away)
            before = group.replicas[leader].status().snapshot_index
            for _ in range(1000):
                await group.replicas[leader].propose(b"%d" % times)
                if group.replicas[leader].status().snapshot_index != before:
                    break
            else:
                pytest.fail(f"no snapshot was saved\n{group.describe()}")
            network.heal()
            await group.equal()
            assert group.ledgers[away].restored >= times

        await until(lambda: len(list(kept.glob("*.snap"))) <= 2, "older ones are removed")


async def test_a_restart_from_a_snapshot_finds_the_same_state(tmp_path: Path) -> None:
    settings = {"snapshot_count": 20, "catch_up_entries": 5}
    async with memory_group(tmp_path, **settings) as (group, _):
        leader = await group.leader()
        for number in range(110):
            await leader.propose(b"%d" % number)
        before = list(await group.equal())
        await group.compacted(50)
        await group.stop()
        snapshots = list((tmp_path / "replica-1" / "snapshots").iterdir())
        assert 1 <= len(snapshots) <= 3, "two, and one that was just saved"
        await group.start()
        await group.leader()
        await group.replicas[2].propose(b"after")

        assert await group.equal() == [*before, b"after"]
        assert all(ledger.restored == 1 for ledger in group.ledgers.values())


async def test_stopping_the_leader_hands_over_without_a_pause(tmp_path: Path) -> None:
    async with memory_group(tmp_path, election_timeout=60.0, stop_timeout=PATIENCE) as (group, _):
        leader = await group.leader_id()
        survivor = group.replicas[leader % 3 + 1]
        await survivor.propose(b"before")
        async with asyncio.timeout(PATIENCE):
            await group.stop(leader)
            await survivor.propose(b"after")


async def test_a_leader_that_is_cut_off_loses_its_writes_and_says_unknown_or_repeats_them(
    tmp_path: Path, tasks: TaskSet
) -> None:
    async with memory_group(tmp_path, **QUICK_ELECTIONS) as (group, network):
        old = await group.leader_id()
        network.isolate(old)
        doubtful = tasks.spawn(group.replicas[old].propose(b"doubtful"), name="write")
        others = [number for number in group.replicas if number != old]
        await until(
            lambda: group.replicas[others[0]].status().leader_id in others,
            "the others have a leader",
            group.describe,
        )
        await group.replicas[others[0]].propose(b"new")
        network.heal()

        # The old leader learns that its entry is lost for certain, and proposes it again.
        assert await doubtful == (2, b"doubtful")
        assert await group.equal() == [b"new", b"doubtful"]


async def test_without_a_majority_writes_and_reads_are_refused(tmp_path: Path) -> None:
    async with memory_group(tmp_path, **QUICK_ELECTIONS) as (group, network):
        leader = await group.leader_id()
        await group.replicas[leader].propose(b"before")
        network.isolate(leader)
        with pytest.raises(ProposalTimeout):
            await group.replicas[leader].propose(b"x", timeout=0.1)
        with pytest.raises(NoLeader):
            await group.replicas[leader].read_index(timeout=0.1)
        await until(
            lambda: group.replicas[leader].status().leader_id == 0, "it steps down", group.describe
        )
        with pytest.raises(NoLeader):
            await group.replicas[leader].propose(b"y", timeout=0.1)
        network.heal()
        await group.leader()

        assert await group.replicas[leader].propose(b"z")


async def test_reads_see_what_was_written_anywhere_before(tmp_path: Path) -> None:
    async with memory_group(tmp_path) as (group, _):
        for number in range(30):
            writer = group.replicas[number % 3 + 1]
            reader = (number + 1) % 3 + 1
            await writer.propose(b"%d" % number)
            await group.replicas[reader].read_index()

            assert group.ledgers[reader].commands[-1] == b"%d" % number


async def test_a_cut_off_leader_does_not_answer_reads(tmp_path: Path) -> None:
    async with memory_group(tmp_path) as (group, network):
        leader = await group.leader_id()
        network.isolate(leader)

        with pytest.raises(NoLeader):
            await group.replicas[leader].read_index(timeout=0.15)


async def test_proposals_are_bounded(tmp_path: Path, tasks: TaskSet) -> None:
    settings = {"max_inflight_proposals": 3, "max_proposal_bytes": 10}
    async with memory_group(tmp_path, **settings) as (group, network):
        leader = await group.leader_id()
        network.isolate(leader)
        with pytest.raises(ProposalTooLarge):
            await group.replicas[leader].propose(b"x" * 11)
        waiting = [
            tasks.spawn(outcome(group.replicas[leader].propose(b"x", timeout=0.2)), name="write")
            for _ in range(3)
        ]
        await asyncio.sleep(0)
        with pytest.raises(TooManyProposals):
            await group.replicas[leader].propose(b"x")
        await asyncio.wait(waiting)
        assert all(isinstance(task.result(), ProposalTimeout) for task in waiting)


async def test_a_cancelled_proposal_makes_room(tmp_path: Path, tasks: TaskSet) -> None:
    async with memory_group(tmp_path, max_inflight_proposals=1) as (group, network):
        leader = await group.leader_id()
        network.isolate(leader)
        before = group.replicas[leader].status().last_index
        waiting = tasks.spawn(group.replicas[leader].propose(b"x"), name="write")
        await until(lambda: group.replicas[leader].status().last_index > before, "it is proposed")
        waiting.cancel()
        await asyncio.wait([waiting])

        with pytest.raises(ProposalTimeout):
            await group.replicas[leader].propose(b"y", timeout=0.05)


async def test_leadership_can_be_given_to_anybody(tmp_path: Path) -> None:
    async with memory_group(tmp_path) as (group, _):
        for target in (3, 1, 2, 3):
            assert await group.replicas[1].transfer_leadership(target) == target
            assert await group.leader_id() == target
        assert await group.replicas[1].transfer_leadership() != 3
        with pytest.raises(ValueError, match="9 is not a member"):
            await group.replicas[1].transfer_leadership(9)


async def test_writes_go_on_while_leadership_moves(tmp_path: Path, tasks: TaskSet) -> None:
    async with memory_group(tmp_path) as (group, _):
        await group.leader()
        writes = [
            tasks.spawn(write(each, 0, 100), name="writes") for each in group.replicas.values()
        ]
        for target in (3, 1, 2):
            await group.replicas[1].transfer_leadership(target)
        await asyncio.gather(*writes)

        assert len(await group.equal()) == 303


async def test_subscribers_hear_when_leadership_begins_and_ends(tmp_path: Path) -> None:
    heard: list[tuple[int, bool, int]] = []

    def begun() -> list[int]:
        return [number for number, leads, _ in heard if leads]

    async with memory_group(tmp_path) as (group, _):
        await group.replicas[1].transfer_leadership(1)
        for number, replica in group.replicas.items():
            replica.subscribe_leadership(
                lambda leads, term, number=number: heard.append((number, leads, term))  # type: ignore[misc]
            )
        for leader in (2, 3):
            await group.replicas[1].transfer_leadership(leader)
            # The others know that it leads before it has applied what they were promised.
            await until(lambda: leader in begun(), f"{leader} begins", group.describe)  # noqa: B023

    events = [(number, leads) for number, leads, _ in heard]
    assert events.index((2, True)) < events.index((2, False))
    assert (3, True) in events
    terms = [term for _, leads, term in heard if leads]
    assert terms == sorted(set(terms))


async def test_a_state_machine_that_raises_ends_the_replica(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with memory_group(tmp_path, **QUICK_ELECTIONS) as (group, _):
        with pytest.raises((ReplicaStopped, ProposalTimeout, NoLeader)):
            await group.replicas[1].propose(b"raise", timeout=1)
        await until(lambda: len(group.failures) >= 2, "a majority has applied it and failed")

        assert "told to fail" in caplog.text
        failed = int(group.failures[0][0].removeprefix("replica-"))
        with pytest.raises(ReplicaStopped):
            await group.replicas[failed].propose(b"x")


async def test_a_data_directory_in_use_is_refused(tmp_path: Path) -> None:
    async with memory_group(tmp_path) as (group, _):
        with pytest.raises(DataDirectoryError, match="in use"):
            await group.start(1)


async def test_the_members_on_disk_count_whatever_the_configuration_lists(tmp_path: Path) -> None:
    async with memory_group(tmp_path) as (group, _):
        await group.replicas[1].propose(b"a")
        await group.stop()
        three, group.members = group.members, {1: group.members[1]}
        await group.start(1)

        assert group.replicas[1].membership.members == three
        with pytest.raises(NoLeader):
            await group.replicas[1].propose(b"alone", timeout=0.5)
