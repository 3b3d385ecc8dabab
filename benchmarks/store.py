#!/usr/bin/env python3
"""How fast the store is as an API server uses it: called in process, three members over loopback.

    benchmarks/store.py [--seconds 3] [--rounds 5] [--value-bytes 256]

The members are processes of their own, with disks that are really synced; the one in this process
leads, as that of the API server that gets the most work does. Prints the median of the rounds.
"""

import argparse
import asyncio
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from podling.aiokit import ids
from podling.aiokit.collector import ScheduledCollector
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport, GrpcTransportConfig
from podling.controlplane.store import requests as rq
from podling.controlplane.store.store import Store
from podling.controlplane.store.store_server import StoreServer, StoreServerConfig
from podling.controlplane.wal.disk import OsDisk
from podling.launcher import grpc_engine

WRITERS = (1, 16, 64)
RANGE_KEYS = 5000
WATCHERS = 1000
EVENT_RATE = 200
"""Events per second, each for every watcher."""
CLUSTER = 1


@dataclass(frozen=True)
class Result:
    """Of one round."""

    rate: float
    """Operations per second."""
    p50: float
    p99: float
    """Milliseconds."""
    cpu: float
    """Microseconds of this process's processor time for each operation."""


def build(member: int, ports: list[int], folder: Path) -> StoreServer:
    members = {
        number: Member(f"replica-{number}", (f"http://127.0.0.1:{port}",))
        for number, port in enumerate(ports, start=1)
    }
    config = ReplicaConfig(
        name=f"replica-{member}",
        member_id=member,
        cluster_id=CLUSTER,
        members=members,
        data_dir=folder / f"replica-{member}",
    )
    return StoreServer(
        StoreServerConfig(config),
        disk=OsDisk(),
        transport=GrpcTransport(
            GrpcTransportConfig(CLUSTER, member, members, tls=None), ids.system_dice()
        ),
        dice=ids.system_dice(),
        new_id=ids.random_u64,
        fatal=lambda name, error: sys.exit(f"{name}: {error!r}"),
    )


async def follow(member: int, ports: list[int], folder: Path) -> None:
    """One of the other members: until standard input ends."""
    server = build(member, ports, folder)
    await server.start()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop()


async def load(
    workers: int, seconds: float, operation: Callable[[int], Awaitable[object]]
) -> Result:
    """Let `workers` repeat `operation(worker)` for `seconds`."""
    times: list[float] = []
    begin, cpu = time.perf_counter(), time.process_time()
    end = begin + seconds

    async def work(worker: int) -> None:
        while (start := time.perf_counter()) < end:
            await operation(worker)
            times.append(time.perf_counter() - start)

    async with asyncio.TaskGroup() as group:
        for worker in range(workers):
            group.create_task(work(worker))
    return result(times, time.perf_counter() - begin, time.process_time() - cpu)


def result(times: list[float], lasted: float, cpu: float) -> Result:
    """Of operations that took so long each, and `lasted` seconds in all."""
    times.sort()
    return Result(
        len(times) / lasted,
        times[len(times) // 2] * 1000,
        times[len(times) * 99 // 100] * 1000,
        cpu / len(times) * 1e6,
    )


async def measure(store: Store, options: argparse.Namespace) -> None:
    value = random.Random(0).randbytes(options.value_bytes)
    numbers = iter(range(10**9))

    async def put(worker: int) -> object:
        return await store.put(rq.PutRequest(b"/bench/%08d" % (next(numbers) % 100_000), value))

    async def read(worker: int) -> object:
        return await store.range(rq.RangeRequest(b"/bench/%08d" % worker))

    await load(16, 1.0, put)
    for writers in WRITERS:
        rounds = [await load(writers, options.seconds, put) for _ in range(options.rounds)]
        report(f"puts, {writers} writers", rounds)
    report(
        "linearizable reads, 64 readers",
        [await load(64, options.seconds, read) for _ in range(options.rounds)],
    )
    for start in range(0, RANGE_KEYS, 100):
        puts = [rq.PutRequest(b"/range/%08d" % each, value) for each in range(start, start + 100)]
        await store.txn(rq.TxnRequest((), puts))
    request = rq.RangeRequest(b"/range/", b"/range0")

    async def read_range(worker: int) -> object:
        found = await store.range(request)
        assert found.total == RANGE_KEYS
        return found

    report(
        f"range of {RANGE_KEYS} keys, 1 reader",
        [await load(1, 0.5, read_range) for _ in range(options.rounds)],
    )

    report(
        f"events to {WATCHERS} watchers, {EVENT_RATE}/s",
        [await watch(store, options.seconds, value) for _ in range(options.rounds)],
    )


async def watch(store: Store, seconds: float, value: bytes) -> Result:
    """From each put's begin to each of the watchers of its range, which all watch the same one.

    Puts are due at fixed moments, whatever became of those before.
    """
    loop = asyncio.get_running_loop()
    begun: dict[bytes, float] = {}
    times: list[float] = []
    count = round(seconds * EVENT_RATE)

    async def follow_range() -> None:
        stream = store.watch_stream()
        stream.create(rq.WatchCreateRequest(b"/watch/", b"/watch0"))
        seen = 0
        while seen < count:
            events = (await stream.next()).events
            now = loop.time()
            times.extend(now - begun[event.kv.key] for event in events)
            seen += len(events)
        stream.close()

    async def put_at(due: float, key: bytes) -> None:
        await asyncio.sleep(due - loop.time())
        begun[key] = loop.time()
        await store.put(rq.PutRequest(key, value))

    begin, cpu = loop.time() + 0.5, time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(WATCHERS):
            group.create_task(follow_range())
        for number in range(count):
            group.create_task(put_at(begin + number / EVENT_RATE, b"/watch/%d" % number))
    return result(times, loop.time() - begin, time.process_time() - cpu)


def report(name: str, rounds: list[Result]) -> None:
    rate, p50, p99, cpu = (
        statistics.median(getattr(each, field) for each in rounds)
        for field in ("rate", "p50", "p99", "cpu")
    )
    print(
        f"{name:32} {rate:10,.0f}/s   p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   {cpu:8.1f} us CPU",
        flush=True,
    )


async def lead(ports: list[int], folder: Path, options: argparse.Namespace) -> None:
    server = build(1, ports, folder)
    await server.start()
    async with asyncio.timeout(30):
        while await server.replica.leader_known() != 1:
            await server.replica.transfer_leadership(1)
    # As in a replica's process.
    collector = ScheduledCollector(CollectorRegistry())
    await collector.start()
    try:
        await measure(server.store, options)
    finally:
        await collector.stop()
        await server.stop()


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def main() -> None:
    if grpc_engine.VARIABLE not in os.environ:
        # As a replica's process has it, from before the library was imported.
        os.execve(sys.executable, [sys.executable, *sys.argv], grpc_engine.environment())
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--value-bytes", type=int, default=256)
    parser.add_argument("--member", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--ports", type=int, nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.member:
        uvloop.run(follow(options.member, options.ports, options.folder))
        return
    ports = free_ports(3)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        followers = [
            subprocess.Popen(
                [sys.executable, __file__, "--member", str(member), "--folder", folder,
                 "--ports", *map(str, ports)],
                stdin=subprocess.PIPE,
            )
            for member in (2, 3)
        ]  # fmt: skip
        try:
            uvloop.run(lead(ports, Path(folder), options))
        finally:
            for follower in followers:
                follower.communicate(timeout=30)


if __name__ == "__main__":
    main()
