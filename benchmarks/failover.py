#!/usr/bin/env python3
"""From the leader's end to the next acknowledged write, as clients of the Kubernetes API see it.

    benchmarks/failover.py [--runs 10] [--mode kill|pause|both] [--timeout 0.5]

Three writers patch a ConfigMap each, one write after the other, each beginning at another replica
and able to use all. What counts is the first write that was begun after the leader was hit and
acknowledged, with all errors, time-outs and repetitions that came before it. Every acknowledged
write must be there at the end.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import random
import signal
import time

import uvloop
from measuring import Goal, fresh_cluster, report

from podling.aiokit.tasks import TaskSet
from podling.kube import kinds
from podling.kube.client import Client
from podling.kube.errors import ApiError
from podling.kube.http_transport import HttpTransport
from podling.kube.transport import TransportError
from podling.launcher import credentials, status
from podling.launcher.timings import PROFILES
from podling.launcher.tls import client_context
from podling.testing.cluster import TestCluster

ELECTIONS = 1.45
"""The goal, in election time-outs."""
NAMESPACE = "default"
MODES = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP}
PAUSE = 0.01
"""Seconds between two writes of a writer, and between two attempts at one."""
PATIENCE = 30.0


class Writer:
    """Writes 1, 2, 3 ... into a ConfigMap of its own."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name
        self._acknowledged = 0
        self._hit = 0.0
        self._resumed: asyncio.Future[float] | None = None
        self.errors = 0

    async def create(self) -> None:
        config_map = {"metadata": {"name": self.name, "namespace": NAMESPACE}, "data": {"n": "0"}}
        await self._client.create(kinds.CONFIG_MAP, config_map)

    async def write_on(self) -> None:
        while True:
            begun = time.monotonic()
            patch = {"data": {"n": str(self._acknowledged + 1)}}
            try:
                await self._client.patch(kinds.CONFIG_MAP, self.name, patch, NAMESPACE)
            except (ApiError, TransportError):
                self.errors += 1
            else:
                self._acknowledged += 1
                self._note(begun)
            await asyncio.sleep(PAUSE)

    async def resumed(self, hit: float) -> float:
        """Seconds from `hit` (monotonic, now) to the first write begun after it."""
        self._hit, self._resumed = hit, asyncio.get_running_loop().create_future()
        async with asyncio.timeout(PATIENCE):
            return await self._resumed

    def _note(self, begun: float) -> None:
        if self._resumed is not None and not self._resumed.done() and begun > self._hit:
            self._resumed.set_result(time.monotonic() - self._hit)

    async def check(self) -> None:
        """Whatever was acknowledged is there, or what came after it."""
        config_map = await self._client.get(kinds.CONFIG_MAP, self.name, NAMESPACE)
        if (found := int(config_map["data"]["n"])) < self._acknowledged:
            raise SystemExit(f"LOST: {self.name} has {found}, not {self._acknowledged}")


def settled(seen: status.ClusterStatus) -> bool:
    """All three replicas are of one term, and one of them leads."""
    roles = sorted(replica.role for replica in seen.replicas)
    terms = {replica.term for replica in seen.replicas}
    return roles == ["follower", "follower", "leader"] and len(terms) == 1


async def settle(cluster: TestCluster) -> str:
    """Wait until there is one leader whom all follow; returns its name."""
    async with asyncio.timeout(PATIENCE):
        while not settled(seen := await asyncio.to_thread(status.observe, cluster.launcher.layout)):
            await asyncio.sleep(0.1)
    assert seen.leader is not None
    return seen.leader


async def hit_leader(
    cluster: TestCluster, writers: list[Writer], number: signal.Signals, dice: random.Random
) -> list[float]:
    """Seconds until each writer writes on; afterwards all replicas run again."""
    leader = await settle(cluster)
    pid = cluster.launcher.pid(leader)
    assert pid is not None
    await asyncio.sleep(0.5 + dice.random())  # anywhere between two heartbeats
    hit = time.monotonic()
    os.kill(pid, number)
    try:
        return await asyncio.gather(*(writer.resumed(hit) for writer in writers))
    finally:
        if number is signal.SIGSTOP:
            os.kill(pid, signal.SIGCONT)
        else:
            cluster.up()


async def run(cluster: TestCluster, options: argparse.Namespace) -> None:
    layout, described = cluster.launcher.layout, cluster.launcher.load()
    limit = PROFILES[described.timings].election_timeout
    goal = Goal(ELECTIONS * limit, "s")
    endpoints = [f"https://{r.address}:{r.api_port}" for r in described.replicas]
    async with contextlib.AsyncExitStack() as stack:
        writers = []
        for first in range(len(endpoints)):
            transport = HttpTransport(
                [*endpoints[first:], *endpoints[:first]],
                client_context(layout, credentials.ADMIN),
            )
            stack.push_async_callback(transport.close)
            client = Client(transport, user_agent="failover", request_timeout=options.timeout)
            writers.append(Writer(client, f"writer-{first + 1}"))
        tasks = await stack.enter_async_context(TaskSet("failover"))
        for writer in writers:
            await writer.create()
            tasks.spawn(writer.write_on(), name=writer.name)
        for name, number in MODES.items():
            if options.mode in (name, "both"):
                outages = [
                    await hit_leader(cluster, writers, number, options.dice)
                    for _ in range(options.runs)
                ]
                each = [outage for run in outages for outage in run]
                print(f"-- {name}, election time-out {limit:g} s, {options.runs} times --")
                report("first writer to write on", [min(run) for run in outages], "s", goal)
                report("every writer", each, "s", goal)
        for writer in writers:
            await writer.check()
        print(f"nothing acknowledged was lost; failed attempts: {[w.errors for w in writers]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="of each mode")
    parser.add_argument("--mode", choices=(*MODES, "both"), default="both")
    parser.add_argument("--timeout", type=float, default=0.5, help="of one attempt, in seconds")
    parser.add_argument("--seed", type=int, help="for the moments of the hits")
    options = parser.parse_args()
    options.dice = random.Random(options.seed)
    logging.getLogger("podling").setLevel(logging.ERROR)  # clients that change servers say so
    with fresh_cluster(nodes=1) as cluster:
        uvloop.run(run(cluster, options))


if __name__ == "__main__":
    main()
