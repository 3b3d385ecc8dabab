#!/usr/bin/env python3
"""From the leader's end to the next acknowledged put, in a store of three processes.

    benchmarks/store_failover.py [--runs 20] [--mode kill|pause|both] [--timeout 0.5]

Three writers put a key each over gRPC, one put after the other, each beginning at another member
and going on to the next after an error. What counts is the first put that was begun after the
leader was hit and acknowledged, with all errors, time-outs and repetitions that came before it.
Every acknowledged put must be there at the end.
"""

import argparse
import asyncio
import contextlib
import random
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import grpc.aio
import uvloop
from measuring import Goal, report

from podling.aiokit.tasks import TaskSet
from podling.controlplane.store.requests import PutRequest, RangeRequest
from tests.faults.etcd_client import EtcdClient
from tests.faults.members import Member, Members, loopback_places

ELECTIONS = 1.45
"""The goal, in election time-outs."""
MODES = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP}
PAUSE = 0.01
"""Seconds between two puts of a writer, and between two attempts at one."""
PATIENCE = 30.0


class Writer:
    """Puts 1, 2, 3 ... to a key of its own."""

    def __init__(self, name: str, clients: Sequence[EtcdClient]) -> None:
        self.name = name
        self._clients = clients
        self._acknowledged = 0
        self._hit = 0.0
        self._resumed: asyncio.Future[float] | None = None
        self.errors = 0

    async def write_on(self) -> None:
        turn = 0
        while True:
            begun = time.monotonic()
            put = PutRequest(self.name.encode(), b"%d" % (self._acknowledged + 1))
            try:
                await self._clients[turn % len(self._clients)].do(put)
            except grpc.aio.AioRpcError:
                self.errors += 1
                turn += 1
            else:
                self._acknowledged += 1
                if self._resumed is not None and not self._resumed.done() and begun > self._hit:
                    self._resumed.set_result(time.monotonic() - self._hit)
            await asyncio.sleep(PAUSE)

    async def resumed(self, hit: float) -> float:
        """Seconds from `hit` (monotonic, now) to the first put begun after it."""
        self._hit, self._resumed = hit, asyncio.get_running_loop().create_future()
        async with asyncio.timeout(PATIENCE):
            return await self._resumed

    async def check(self) -> None:
        """Whatever was acknowledged is there, or what came after it."""
        found = await self._clients[0].do(RangeRequest(self.name.encode()))
        if int(found.kvs[0].value) < self._acknowledged:
            raise SystemExit(
                f"LOST: {self.name} has {found.kvs[0].value}, not {self._acknowledged}"
            )


async def settle(members: Members, clients: Sequence[EtcdClient]) -> Member:
    """Wait until all are of one mind about who leads; returns the leader."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(grpc.aio.AioRpcError):
            seen = [await client.status() for client in clients]
            if len({(each.leader, each.raftTerm) for each in seen}) == 1:
                ids = [each.header.member_id for each in seen]
                return members[ids.index(seen[0].leader)]
        await asyncio.sleep(0.1)
    raise SystemExit(f"no leader within {PATIENCE:g} s\n{members.said()}")


async def hit_leader(
    members: Members,
    clients: Sequence[EtcdClient],
    writers: Sequence[Writer],
    number: signal.Signals,
    dice: random.Random,
) -> list[float]:
    """Seconds until each writer writes on; afterwards all members run again."""
    leader = await settle(members, clients)
    assert leader.process is not None
    await asyncio.sleep(0.5 + dice.random())  # anywhere between two heartbeats
    hit = time.monotonic()
    leader.process.send_signal(number)
    try:
        return await asyncio.gather(*(writer.resumed(hit) for writer in writers))
    finally:
        if number is signal.SIGSTOP:
            leader.resume()
        else:
            leader.kill()
            leader.start()


async def run(folder: Path, options: argparse.Namespace) -> None:
    limit = options.election_timeout
    goal = Goal(ELECTIONS * limit, "s")
    flags = {
        "--election-timeout": f"{limit * 1000:.0f}",
        "--heartbeat-interval": f"{limit * 100:.0f}",
    }
    async with contextlib.AsyncExitStack() as stack:
        members = stack.enter_context(Members(folder, loopback_places(3), flags=flags))
        clients = [
            await stack.enter_async_context(EtcdClient(each.place.client, options.timeout))
            for each in members
        ]
        await settle(members, clients)
        writers = [
            Writer(f"writer-{first}", [*clients[first:], *clients[:first]]) for first in range(3)
        ]
        tasks = await stack.enter_async_context(TaskSet("failover"))
        for writer in writers:
            tasks.spawn(writer.write_on(), name=writer.name)
        for name, number in MODES.items():
            if options.mode in (name, "both"):
                outages = [
                    await hit_leader(members, clients, writers, number, options.dice)
                    for _ in range(options.runs)
                ]
                each = [outage for run in outages for outage in run]
                print(f"-- {name}, election time-out {limit:g} s, {options.runs} times --")
                report("first writer to write on", [min(run) for run in outages], "s", goal)
                report("every writer", each, "s", goal)
        await settle(members, clients)
        await tasks.close()
        for writer in writers:
            await writer.check()
        print(f"nothing acknowledged was lost; failed attempts: {[w.errors for w in writers]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="of each mode")
    parser.add_argument("--mode", choices=(*MODES, "both"), default="both")
    parser.add_argument("--timeout", type=float, default=0.5, help="of one attempt, in seconds")
    parser.add_argument("--election-timeout", type=float, default=1.0, help="in seconds")
    parser.add_argument("--seed", type=int, help="for the moments of the hits")
    options = parser.parse_args()
    options.dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="podling-") as folder:
        uvloop.run(run(Path(folder), options))


if __name__ == "__main__":
    main()
