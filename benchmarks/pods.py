#!/usr/bin/env python3
"""From the call that creates a pod to its running container, one at a time and at a steady rate.

    benchmarks/pods.py [--runs 40] [--rate 20] [--seconds 10]

"seen" is when a watch tells that the container runs; "started" is the first thing the container
itself does, by its own clock: it writes the time into its log. At a steady rate the pods are
created on time whether the cluster keeps up or not (an open loop), and deleted a second after they
run; lag is the same time as "seen", counted from the moment at which the pod was due.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any

import uvloop
from measuring import Goal, fresh_cluster, report

from podling.aiokit.tasks import TaskSet
from podling.kube import kinds, meta
from podling.kube.client import Client
from podling.kube.watch_frames import DELETED, WatchEvent
from podling.testing.cluster import TestCluster

STARTED = Goal(100, "ms")
NAMESPACE = "default"
PATIENCE = 60.0
LIFE = 1.0
"""Seconds for which a pod of the steady rate runs before it is deleted."""


def pod(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "containers": [
                {
                    "name": "main",
                    "image": "none",
                    "command": ["/bin/sh", "-c", "date +%s.%N; exec sleep 600"],
                }
            ],
        },
    }


class Watcher:
    """When each pod was first seen running, and when it was gone, in wall-clock seconds."""

    def __init__(self) -> None:
        self.running: dict[str, float] = {}
        self.gone: dict[str, float] = {}
        self._changed = asyncio.Condition()

    async def follow(self, client: Client) -> None:
        async with client.watch(kinds.POD, NAMESPACE) as events:
            async for event in events:
                self._note(event, time.time())
                async with self._changed:
                    self._changed.notify_all()

    def _note(self, event: WatchEvent, now: float) -> None:
        name = meta.name(event.object)
        statuses = event.object.get("status", {}).get("containerStatuses", ())
        if event.type == DELETED:
            self.gone[name] = now
        elif statuses and "running" in statuses[0]["state"]:
            self.running.setdefault(name, now)

    async def wait_running(self, name: str) -> float:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: name in self.running)
        return self.running[name]

    async def wait_gone(self, names: set[str]) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: names <= self.gone.keys())


async def started_at(client: Client, name: str) -> float:
    """What the container wrote first."""
    path = kinds.POD.path(NAMESPACE, name, "log")
    while not (text := (await client.raw("GET", path, accept="*/*")).body):
        await asyncio.sleep(0.01)
    return float(text)


async def one_at_a_time(
    client: Client, watcher: Watcher, prefix: str, count: int
) -> Sequence[tuple[str, list[float], str, Goal | None]]:
    """The lines of its report."""
    answered, seen, started = [], [], []
    for number in range(count):
        name = f"{prefix}-{number}"
        began = time.time()
        await client.create(kinds.POD, pod(name))
        answered.append((time.time() - began) * 1e3)
        seen.append((await watcher.wait_running(name) - began) * 1e3)
        started.append((await started_at(client, name) - began) * 1e3)
        await client.delete(kinds.POD, name, NAMESPACE)
        await watcher.wait_gone({name})
    return (
        ("pod created (the API answers)", answered, "ms", None),
        ("container started, by its own clock", started, "ms", None),
        ("container seen running, by a watch", seen, "ms", STARTED),
    )


async def live(client: Client, watcher: Watcher, name: str, due: float) -> float:
    """One pod of the steady rate, from creation to deletion; returns its lag in ms."""
    await client.create(kinds.POD, pod(name))
    lag = (await watcher.wait_running(name) - due) * 1e3
    await asyncio.sleep(LIFE)
    await client.delete(kinds.POD, name, NAMESPACE)
    return lag


async def steady(
    client: Client, watcher: Watcher, tasks: TaskSet, rate: float, seconds: float
) -> None:
    count = int(rate * seconds)
    loop = asyncio.get_running_loop()
    loop_began, began = loop.time(), time.time()
    lives = []
    for number in range(count):
        await asyncio.sleep(max(0.0, loop_began + number / rate - loop.time()))
        name = f"steady-{number}"
        due = began + number / rate
        lives.append(tasks.spawn(live(client, watcher, name, due), name=name))
    lags = list(await asyncio.gather(*lives))
    names = {f"steady-{number}" for number in range(count)}
    running = [watcher.running[name] for name in names]
    await watcher.wait_gone(names)
    took = max(running) - began
    report(f"{rate:g} pods/s for {seconds:g} s, lag", lags, "ms")
    quarter = max(1, count // 4)
    first, last = statistics.median(lags[:quarter]), statistics.median(lags[-quarter:])
    print(
        f"{count / took:.1f} pods/s ran within {took:.1f} s; lag of the first quarter p50 "
        f"{first:.0f} ms, of the last {last:.0f} ms; last one gone "
        f"{max(watcher.gone[name] for name in names) - began:.1f} s after the start"
    )


async def run(cluster: TestCluster, options: argparse.Namespace) -> None:
    watcher = Watcher()
    async with cluster.client() as client, TaskSet("benchmark") as tasks:
        tasks.spawn(watcher.follow(client), name="watch")
        await one_at_a_time(client, watcher, "warm", 3)
        for line in await one_at_a_time(client, watcher, "single", options.runs):
            report(*line)
        if options.rate:
            await steady(client, watcher, tasks, options.rate, options.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--rate", type=float, default=20.0, help="pods a second; 0: leave it out")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the steady rate")
    options = parser.parse_args()
    with fresh_cluster() as cluster:
        uvloop.run(run(cluster, options))


if __name__ == "__main__":
    main()
