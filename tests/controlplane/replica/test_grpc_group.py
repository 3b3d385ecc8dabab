"""Three replicas over gRPC with mutual TLS, on the real disk."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane.replica.group import PATIENCE, Group
from tests.controlplane.replica.linked_peers import Peers


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[Group]:
    peers = Peers.create(tmp_path / "certificates")
    group = Group(tmp_path, peers.transport, peers.members, {"heartbeat_interval": 0.05})
    await group.start()
    yield group
    await group.stop()


async def test_a_cluster_starts_and_replicates(group: Group) -> None:
    await group.leader()
    await asyncio.gather(
        *(
            replica.propose(b"%d-%d" % (number, count))
            for number, replica in group.replicas.items()
            for count in range(50)
        )
    )

    assert len(await group.equal()) == 150


async def test_reads_are_linearizable_on_every_replica(group: Group) -> None:
    for number in range(9):
        await group.replicas[number % 3 + 1].propose(b"%d" % number)
        reader = (number + 1) % 3 + 1
        await group.replicas[reader].read_index()

        assert group.ledgers[reader].commands[-1] == b"%d" % number


async def test_all_survives_a_restart_of_everybody(group: Group) -> None:
    for number in range(20):
        await (await group.leader()).propose(b"%d" % number)
    await group.stop()
    await group.start()
    await group.leader()
    await group.replicas[1].propose(b"after")

    assert len(await group.equal()) == 21


async def test_a_follower_gets_a_snapshot_over_the_wire(group: Group) -> None:
    group.settings |= {"snapshot_count": 20, "catch_up_entries": 5}
    await group.stop()
    await group.start()
    leader = await group.leader_id()
    away = leader % 3 + 1
    await group.stop(away)
    for number in range(100):
        await group.replicas[leader].propose(b"%d" % number)
    await group.compacted(50)
    await group.start(away)

    assert len(await group.equal()) == 100
    assert group.ledgers[away].restored >= 1


async def test_stopping_the_leader_costs_no_write(group: Group) -> None:
    leader = await group.leader_id()
    survivors = [replica for number, replica in group.replicas.items() if number != leader]

    async def write(number: int) -> None:
        for count in range(30):
            await survivors[number % 2].propose(b"%d-%d" % (number, count))

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as writers:
        for number in range(4):
            writers.create_task(write(number))
        await group.stop(leader)

    assert sorted(set(await group.equal())) == sorted(await group.equal())
    assert len(await group.equal()) == 120
