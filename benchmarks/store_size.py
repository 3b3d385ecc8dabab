#!/usr/bin/env python3
"""A store of a million keys: its memory, its restart, and how long it ever holds the event loop.

    benchmarks/store_size.py [--keys 1000000] [--value-bytes 256]

One member in a process of its own. It is filled, compacted, and overwritten by a tenth with
snapshots under way; then it ends and starts again on the same directory. A stall is the processor
time that the loop's thread spends between two turns of a probe, so that busy neighbours do not
count; the wall clock's is printed too.
"""

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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
from tests.ports import free_ports

BATCH = 100
"""Puts in a transaction."""
PROBE = 0.001
"""Seconds between two turns of the probe."""


class Probe:
    """The longest that the loop was held since `restart`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._cpu = self._wall = 0.0
        self.restart()
        self._turn()

    def restart(self) -> None:
        self.cpu = self.wall = 0.0
        self._cpu, self._wall = time.thread_time(), time.perf_counter()

    def _turn(self) -> None:
        cpu, wall = time.thread_time(), time.perf_counter()
        self.cpu = max(self.cpu, cpu - self._cpu)
        self.wall = max(self.wall, wall - self._wall - PROBE)
        self._cpu, self._wall = cpu, wall
        self._loop.call_later(PROBE, self._turn)

    def report(self, what: str, seconds: float) -> None:
        print(
            f"{what:36} {seconds:7.1f} s   longest stall {self.cpu * 1000:7.1f} ms of CPU, "
            f"{self.wall * 1000:7.1f} ms   {resident():6.0f} MB",
            flush=True,
        )
        self.restart()


def resident() -> float:
    """Megabytes of memory that this process has."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def build(folder: Path) -> StoreServer:
    members = {1: Member("replica-1", (f"http://127.0.0.1:{free_ports(1)[0]}",))}
    config = ReplicaConfig(
        name="replica-1", member_id=1, cluster_id=1, members=members, data_dir=folder
    )
    dice = ids.system_dice()
    return StoreServer(
        StoreServerConfig(config),
        disk=OsDisk(),
        transport=GrpcTransport(GrpcTransportConfig(1, 1, members, tls=None), dice),
        dice=dice,
        new_id=ids.random_u64,
        fatal=lambda name, error: os._exit(f"{name}: {error!r}".isascii() + 1),
    )


def key(number: int) -> bytes:
    return b"/registry/pods/default/pod-%012d" % number


async def fill(store: Store, numbers: range, value_bytes: int) -> None:
    """Put the keys, a few transactions at a time."""

    async def work(batches: Iterator[int]) -> None:
        for first in batches:
            count = min(BATCH, numbers.stop - first)
            puts = [
                rq.PutRequest(key(each), os.urandom(value_bytes))
                for each in range(first, first + count)
            ]
            await store.txn(rq.TxnRequest((), puts))

    batches = iter(range(numbers.start, numbers.stop, BATCH))
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(work(batches))


async def serve(options: argparse.Namespace) -> None:
    began = time.perf_counter()
    server = build(options.folder)
    collector = ScheduledCollector(CollectorRegistry())
    await server.start()
    await server.store.linearize()
    await collector.start()
    probe = Probe()
    probe.report("started, first read answered", time.perf_counter() - began)
    if options.fill:
        await life(server, probe, options)
    found = await server.store.range(rq.RangeRequest(key(0), b"/registry/pods0", count_only=True))
    print(f"{found.total} keys at revision {found.revision}", flush=True)
    await collector.stop()
    await server.stop()


async def life(server: StoreServer, probe: Probe, options: argparse.Namespace) -> None:
    store = server.store
    began = time.perf_counter()
    await fill(store, range(options.keys), options.value_bytes)
    probe.report(f"{options.keys} keys put", time.perf_counter() - began)
    began = time.perf_counter()
    overwrite = range(options.keys // 10)
    await fill(store, overwrite, options.value_bytes)
    probe.report("a tenth overwritten", time.perf_counter() - began)
    began = time.perf_counter()
    await store.compact(rq.CompactionRequest(store.revision, physical=True))
    probe.report("compacted", time.perf_counter() - began)
    before, began = server.replica.status().snapshot_index, time.perf_counter()
    while server.replica.status().snapshot_index <= before:
        await fill(store, overwrite, options.value_bytes)
    probe.report("overwritten until a snapshot was made", time.perf_counter() - began)
    began = time.perf_counter()
    await store.range(rq.RangeRequest(key(0), b"/registry/pods0"))
    probe.report("every key read in one range", time.perf_counter() - began)
    gc.collect(1)
    await asyncio.sleep(1)
    probe.report("at rest", 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--value-bytes", type=int, default=256)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fill", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        uvloop.run(serve(options))
        return
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        command = [
            sys.executable, __file__, "--keys", str(options.keys),
            "--value-bytes", str(options.value_bytes), "--folder", folder,
        ]  # fmt: skip
        subprocess.run([*command, "--fill"], check=True)
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
