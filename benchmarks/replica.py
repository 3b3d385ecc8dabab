#!/usr/bin/env python3
"""How fast three replicas agree: proposals committed a second, latency, reads, idle cost.

    benchmarks/replica.py                three replicas, a process each, gRPC with TLS on loopback
    benchmarks/replica.py --together     all three in one process, which has to do all the work
    benchmarks/replica.py --profile      with a profile of the leader's process

The proposers run in the leader's process, as the API server does beside its store. Every figure is
the median of `--rounds` rounds; fsync is on.
"""

import argparse
import asyncio
import cProfile
import os
import pstats
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import uvloop

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport, GrpcTransportConfig
from podling.controlplane.replica.peers.peer_security import PeerTls
from podling.controlplane.replica.replica import Replica
from podling.controlplane.wal.disk import OsDisk
from podling.launcher.certificates import Authority, Subject

COMMAND = bytes(256)
CONCURRENCY = (1, 16, 64, 256)


class Counter:
    """The cheapest state machine."""

    command_version = 1

    def __init__(self) -> None:
        self.count = 0

    def apply(self, index: int, term: int, command: bytes) -> object:
        self.count += 1
        return self.count

    def snapshot(self) -> Iterator[bytes]:
        yield b"%d" % self.count

    def load(self, chunks: Iterable[bytes]) -> int:
        return int(b"".join(chunks))

    def take(self, count: int) -> None:
        self.count = count


def make_replica(folder: Path, members: dict[int, Member], number: int) -> Replica:
    name = members[number].name
    tls = PeerTls.from_files(folder / "ca.crt", folder / f"{name}.crt", folder / f"{name}.key")
    transport = GrpcTransport(GrpcTransportConfig(0xB, number, members, tls), random.Random(number))
    return Replica(
        ReplicaConfig(name, number, 0xB, members, folder / name),
        Counter(),
        disk=OsDisk(),
        transport=transport,
        dice=random.Random(),
        fatal=lambda name, error: os._exit(1),
    )


def prepare(folder: Path) -> dict[int, Member]:
    """Certificates and free ports."""
    authority = Authority.create("benchmark", system_wall_clock)
    authority.save(folder / "ca.crt", folder / "ca.key")
    members = {}
    for number in (1, 2, 3):
        name = f"replica-{number}"
        subject = Subject(name, host_names=[name])
        authority.issue(subject, folder / f"{name}.crt", folder / f"{name}.key")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            members[number] = Member(name, (f"http://127.0.0.1:{probe.getsockname()[1]}",))
    return members


async def repeat(
    operation: Callable[[], Awaitable[object]], workers: int, count: int
) -> list[float]:
    """Run `count` operations by so many workers; return the seconds that each took."""
    times: list[float] = []
    left = count

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            began = time.perf_counter()
            await operation()
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(work() for _ in range(workers)))
    return times


async def measure(
    name: str, operation: Callable[[], Awaitable[object]], rounds: int, counts: dict[int, int]
) -> None:
    for workers, count in counts.items():
        await repeat(operation, workers, count // 10)
        rates, p50, p99, cpu = [], [], [], []
        for _ in range(rounds):
            began, busy = time.perf_counter(), time.process_time()
            times = sorted(await repeat(operation, workers, count))
            rates.append(count / (time.perf_counter() - began))
            cpu.append((time.process_time() - busy) / count * 1e6)
            p50.append(times[len(times) // 2] * 1e3)
            p99.append(times[len(times) * 99 // 100] * 1e3)
        print(
            f"{name:<12} {workers:>4} at once  {statistics.median(rates):>8.0f} /s  "
            f"p50 {statistics.median(p50):6.2f} ms  p99 {statistics.median(p99):6.2f} ms  "
            f"{statistics.median(cpu):6.1f} us CPU each in this process"
        )


async def lead(folder: Path, members: dict[int, Member], options: argparse.Namespace) -> None:
    numbers = (1, 2, 3) if options.together else (1,)
    replicas = [make_replica(folder, members, number) for number in numbers]
    await asyncio.gather(*(replica.start() for replica in replicas))
    began = time.perf_counter()
    await replicas[0].leader_known(30)
    print(f"{'leader known':<12} {(time.perf_counter() - began) * 1e3:.0f} ms after the start")
    await replicas[0].transfer_leadership(1)
    counts = {workers: min(20_000, 1_000 + workers * 300) for workers in CONCURRENCY}
    profiler = cProfile.Profile()
    if options.profile:
        profiler.enable()
    await measure("proposals", lambda: replicas[0].propose(COMMAND), options.rounds, counts)
    await measure("reads", lambda: replicas[0].read_index(), options.rounds, counts)
    if options.profile:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
    busy, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(3)
    share = (time.process_time() - busy) / (time.perf_counter() - began) * 100
    print(f"{'idle':<12} {share:.2f} % of a core in this process")
    for replica in replicas:
        await replica.stop()


async def follow(folder: Path, members: dict[int, Member], number: int) -> None:
    replica = make_replica(folder, members, number)
    await replica.start()
    # Until the benchmark closes our standard input.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await replica.stop()


def run_all(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=options.dir) as scratch:
        folder = Path(scratch)
        members = prepare(folder)
        addresses = [member.peer_urls[0] for member in members.values()]
        followers = [
            subprocess.Popen(
                [sys.executable, __file__, "--member", str(number), scratch, *addresses],
                stdin=subprocess.PIPE,
            )
            for number in (() if options.together else (2, 3))
        ]
        try:
            uvloop.run(lead(folder, members, options))
        finally:
            for process in followers:
                process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--together", action="store_true", help="all replicas in one process")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--dir", help="where data goes (default: the temporary folder)")
    parser.add_argument("--member", type=int, help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.member:
        addresses = options.rest[1:]
        members = {n: Member(f"replica-{n}", (a,)) for n, a in enumerate(addresses, start=1)}
        uvloop.run(follow(Path(options.rest[0]), members, options.member))
    else:
        run_all(options)


if __name__ == "__main__":
    main()
