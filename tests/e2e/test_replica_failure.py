"""Replicas that die, freeze and come back, under a steady stream of writes."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from podling.kube import kinds, meta
from podling.kube.client import Client
from podling.kube.errors import ApiError
from podling.kube.transport import TransportError
from podling.launcher import status
from podling.launcher.chaos import ChaosError
from podling.testing.cluster import KubectlError, TestCluster
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.podling(fresh=True, replicas=3, nodes=0)]


@dataclass
class Writer:
    """Creates ConfigMaps, one after the other, and remembers which were acknowledged."""

    client: Client
    acknowledged: list[str] = field(default_factory=list)
    tried: int = 0

    async def run(self) -> None:
        while True:
            name = f"entry-{self.tried}"
            self.tried += 1
            with contextlib.suppress(ApiError, TransportError):
                await self.client.create(
                    kinds.CONFIG_MAP, {"metadata": {"name": name}, "data": {}}, "default"
                )
                self.acknowledged.append(name)

    async def reaches(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.acknowledged) < count:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def writing(cluster: TestCluster) -> AsyncIterator[Writer]:
    async with cluster.client() as client, asyncio.TaskGroup() as tasks:
        writer = Writer(client)
        task = tasks.create_task(writer.run())
        await writer.reaches(20)
        yield writer
        task.cancel()


async def stored(cluster: TestCluster) -> set[str]:
    async with cluster.client() as client:
        listed = await client.list(kinds.CONFIG_MAP, "default")
    return {meta.name(item) for item in listed.items}


@pytest.mark.parametrize("blow", ["kill", "pause"])
async def test_no_acknowledged_write_is_lost_with_the_leader(
    podling_cluster: TestCluster, blow: str
) -> None:
    async with writing(podling_cluster) as writer:
        hit = await asyncio.to_thread(strike, podling_cluster, blow)
        await writer.reaches(len(writer.acknowledged) + 100)
        old = hit.split()[0]
        await asyncio.to_thread(
            eventually,
            lambda: status.observe(podling_cluster.launcher.layout).leader not in (None, old),
            60,
            lambda: f"another leader than {old}",
        )
        if blow == "kill":
            podling_cluster.launcher.start(old)
        else:
            await asyncio.to_thread(podling_cluster.chaos.resume, old)
        await writer.reaches(len(writer.acknowledged) + 100)
    missing = set(writer.acknowledged) - await stored(podling_cluster)
    assert not missing
    eventually(
        lambda: all_applied(podling_cluster), 60, lambda: "all replicas to apply the same index"
    )


def strike(cluster: TestCluster, blow: str) -> str:
    """Hit the leader, as soon as there is one that says so; returns whom."""
    hit: list[str] = []

    def struck() -> bool:
        with contextlib.suppress(ChaosError):
            hit.append(getattr(cluster.chaos, blow)("leader"))
        return bool(hit)

    eventually(struck, 60, lambda: "a leader to be known")
    return hit[0]


def all_applied(cluster: TestCluster) -> bool:
    replicas = status.observe(cluster.launcher.layout).replicas
    return len({replica.applied_index for replica in replicas} - {None}) == 1


async def test_a_watch_that_is_resumed_sees_every_write(podling_cluster: TestCluster) -> None:
    seen: list[str] = []
    async with writing(podling_cluster) as writer, podling_cluster.client() as client:

        async def follow() -> None:
            version = "0"
            while True:
                with contextlib.suppress(TransportError, ApiError):
                    async with client.watch(
                        kinds.CONFIG_MAP, "default", resource_version=version
                    ) as watch:
                        async for event in watch:
                            version = meta.resource_version(event.object)
                            if event.type == "ADDED":
                                seen.append(meta.name(event.object))

        async with asyncio.TaskGroup() as tasks:
            follower = tasks.create_task(follow())
            await asyncio.to_thread(strike, podling_cluster, "kill")
            await writer.reaches(len(writer.acknowledged) + 100)
            wanted = list(writer.acknowledged)
            async with asyncio.timeout(60):
                while set(wanted) - set(seen):
                    await asyncio.sleep(0.01)
            follower.cancel()
    assert len(seen) == len(set(seen)), "an event was delivered twice"


def test_kubectl_goes_on_whichever_replica_is_paused(podling_cluster: TestCluster) -> None:
    for replica in ("replica-1", "replica-2", "replica-3"):
        podling_cluster.chaos.pause(replica)
        eventually(
            lambda r=replica: created(podling_cluster, f"x-{r}"),
            60,
            lambda: "a write to be taken",
        )
        podling_cluster.chaos.resume(replica)


def test_without_a_majority_writes_are_refused_and_then_work_again(
    podling_cluster: TestCluster,
) -> None:
    podling_cluster.kubectl("create", "configmap", "before")
    for replica in ("replica-1", "replica-2"):
        podling_cluster.chaos.kill(replica)
    # A write that the last leader had taken already is of unknown outcome; the next are refused.
    eventually(
        lambda: "no quorum" in failure(podling_cluster, "refused"), 90, lambda: "a clear refusal"
    )
    podling_cluster.launcher.start("replica-1")
    eventually(lambda: created(podling_cluster, "after"), 60, lambda: "a write to be taken again")
    names = podling_cluster.kubectl("get", "configmap", "-o", "name")
    assert "configmap/before" in names


def failure(cluster: TestCluster, name: str) -> str:
    with pytest.raises(KubectlError) as raised:
        cluster.kubectl("create", "configmap", name)
    return str(raised.value)


def created(cluster: TestCluster, name: str) -> bool:
    try:
        cluster.kubectl("create", "configmap", name)
    except KubectlError as error:
        return "already exists" in str(error)
    return True


async def test_everything_killed_at_once_comes_back_with_every_acknowledged_write(
    podling_cluster: TestCluster,
) -> None:
    launcher = podling_cluster.launcher
    async with writing(podling_cluster) as writer:
        await writer.reaches(200)
        for name in ("forkserver", *launcher.load().process_names):
            pid = launcher.pid(name)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(podling_cluster.up)
    assert not set(writer.acknowledged) - await stored(podling_cluster)
