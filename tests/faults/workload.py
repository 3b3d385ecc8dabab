"""Clients that use the store as hard as they can, and write down all that they see.

Every put has a value of its own, so that a write of unknown outcome is recognised when it is seen.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from podling.aiokit.tasks import TaskSet
from podling.controlplane.store.key_values import Event
from podling.controlplane.store.requests import (
    NO_END,
    CompactionRequest,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseRevokeRequest,
    PutRequest,
    RangeRequest,
    TxnRequest,
    WatchCreateRequest,
)
from podling.simulate.histories import Recorder, RecordingClient
from tests.faults.etcd_client import EtcdClient, classify
from tests.waiting import until

KEYS = [b"k/%d" % number for number in range(8)]
ALL_KEYS = (b"k/", b"k0")
"""[k/, k0) is every key that begins with k/."""
EVERYTHING = RangeRequest(b"\0", NO_END)
PAUSE = 0.004
"""Seconds between two operations of a client."""
RETRY = 0.03
"""Seconds before a client that got no answer tries another member."""
LEASE_TTL = 2
KEPT_REVISIONS = 100
"""That compaction leaves: reads of the past meet its edge."""


@dataclass
class Watched:
    """One watch of everything, from one member after the other."""

    name: str
    events: list[Event] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    """When each came, by the loop's clock."""
    next_revision: int = 2

    def take(self, revision: int) -> "Watched":
        """What came until `revision`, which is forgotten here."""
        count = sum(event.kv.mod_revision <= revision for event in self.events)
        taken = Watched(self.name, self.events[:count], self.arrived[:count])
        del self.events[:count], self.arrived[:count]
        return taken


@dataclass
class Leased:
    """One lease and its one key."""

    id: int
    key: bytes
    renewed: float
    """When the last renewal that succeeded was asked for."""
    revoked: bool = False


class Workload:
    """Clients between `start` and `stop`, watches until `close`."""

    def __init__(self, clients: Sequence[EtcdClient], seed: int, *, writers: int = 4) -> None:
        self._clients = clients
        self._dice = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self._writers = writers
        self._tasks = TaskSet("clients", self._died)
        self._watching = TaskSet("watches", self._died)
        self._numbers = 0
        self._lease_numbers = 0
        self.recorder = Recorder(self._loop.time)
        self.watched = [Watched(f"watch at {client.address}") for client in clients]
        self.leases = list[Leased]()
        self._newest = 1
        """The newest revision that anybody was told of."""
        self.acknowledged = 0
        """How many operations were answered."""
        self._unexpected = list[str]()

    def start(self) -> None:
        for number in range(self._writers):
            self._spawn(self._write, f"writer-{number}")
        for number in range(2):
            self._spawn(self._swap, f"swapper-{number}")
            self._spawn(self._read, f"reader-{number}")
        self._spawn(self._lease, "leaser")
        self._spawn(self._compact, "compactor")
        if not len(self._watching):
            for number, watched in enumerate(self.watched):
                self._watching.spawn(self._watch(watched, number), name=watched.name)

    async def stop(self) -> None:
        """Every operation under way is of unknown outcome. Watches go on."""
        await self._tasks.close()
        assert not self._unexpected, self._unexpected

    async def close(self) -> None:
        await self._tasks.close()
        await self._watching.close()

    def forget(self) -> None:
        """Begin new records of operations and leases, after `stop`."""
        self.recorder = Recorder(self._loop.time)
        self.leases.clear()

    async def make_progress(self, operations: int, seconds: float) -> None:
        """Wait until so many more were answered."""
        goal = self.acknowledged + operations
        await until(
            lambda: self.acknowledged >= goal,
            f"{operations} more operations are answered",
            lambda: f"{goal - self.acknowledged} are missing",
            seconds,
        )

    def _spawn(
        self, work: Callable[[str, random.Random], Coroutine[Any, Any, None]], name: str
    ) -> None:
        self._tasks.spawn(work(name, random.Random(self._dice.random())), name=name)

    def _died(self, name: str, error: BaseException) -> None:
        self._unexpected.append(f"{name}: {error!r}")

    async def _do(self, name: str, dice: random.Random, request: Any) -> Any:
        """One attempt, at any member."""
        client = RecordingClient(name, self.recorder, dice.choice(self._clients).do, classify)
        response = await client.do(request)
        if response is None:
            await asyncio.sleep(RETRY)
        else:
            self.acknowledged += 1
            self._newest = max(self._newest, response.revision)
            await asyncio.sleep(PAUSE)
        return response

    def _value(self) -> bytes:
        self._numbers += 1
        return b"v%d" % self._numbers

    async def _write(self, name: str, dice: random.Random) -> None:
        while True:
            key, value = dice.choice(KEYS), self._value()
            kind = dice.random()
            if kind < 0.8:
                await self._do(name, dice, PutRequest(key, value, prev_kv=kind < 0.3))
            elif kind < 0.9:
                two = [PutRequest(each, value) for each in dice.sample(KEYS, 2)]
                await self._do(name, dice, TxnRequest(success=[*two, RangeRequest(*ALL_KEYS)]))
            else:
                await self._do(name, dice, DeleteRangeRequest(key, prev_kv=True))

    async def _swap(self, name: str, dice: random.Random) -> None:
        """Read, and write only if nobody wrote since."""
        while True:
            key = dice.choice(KEYS)
            found = await self._do(name, dice, RangeRequest(key))
            if found is None:
                continue
            revision = found.kvs[0].mod_revision if found.kvs else 0
            same = Compare(key, CompareTarget.MOD, CompareResult.EQUAL, revision)
            swap = TxnRequest([same], [PutRequest(key, self._value())], [RangeRequest(key)])
            await self._do(name, dice, swap)

    async def _read(self, name: str, dice: random.Random) -> None:
        while True:
            request = dice.choice(
                (
                    RangeRequest(dice.choice(KEYS)),
                    RangeRequest(*ALL_KEYS),
                    RangeRequest(*ALL_KEYS, limit=3),
                    RangeRequest(*ALL_KEYS, count_only=True),
                    RangeRequest(*ALL_KEYS, serializable=True),
                    RangeRequest(*ALL_KEYS, revision=max(1, self._newest - dice.randrange(200))),
                    EVERYTHING,
                )
            )
            await self._do(name, dice, request)

    async def _compact(self, name: str, dice: random.Random) -> None:
        """Forget what is old, and no watch can have to ask for."""
        while True:
            await asyncio.sleep(0.5 + dice.random())
            old = self._newest - KEPT_REVISIONS
            slow = min(watched.next_revision for watched in self.watched) - 1
            if min(old, slow) > 1:
                compaction = CompactionRequest(min(old, slow), physical=dice.random() < 0.5)
                await self._do(name, dice, compaction)

    async def _lease(self, name: str, dice: random.Random) -> None:
        """Hold leases one after the other: some are given up, some are revoked."""
        while True:
            self._lease_numbers += 1
            number = self._lease_numbers
            asked = self._loop.time()
            self.recorder.may_happen(f"{name}-expiry", LeaseRevokeRequest(number))
            if await self._do(name, dice, LeaseGrantRequest(LEASE_TTL, number)) is None:
                continue
            lease = Leased(number, b"l/%d" % number, asked)
            self.leases.append(lease)
            await self._do(name, dice, PutRequest(lease.key, self._value(), lease=number))
            end = self._loop.time() + LEASE_TTL * 2 * dice.random()
            while self._loop.time() < end:
                asked = self._loop.time()
                renewed = await self._do(name, dice, LeaseKeepAliveRequest(number))
                if renewed is not None and renewed.ttl > 0:
                    lease.renewed = asked
                await asyncio.sleep(LEASE_TTL / 10)
            if dice.random() < 0.4:
                lease.revoked = True
                await self._do(name, dice, LeaseRevokeRequest(number))

    async def _watch(self, watched: Watched, number: int) -> None:
        while True:
            request = WatchCreateRequest(
                EVERYTHING.key, NO_END, start_revision=watched.next_revision, prev_kv=True
            )
            try:
                async for response in self._clients[number].watch(request):
                    if response.canceled:
                        raise AssertionError(f"{watched.name} was cancelled: {response}")
                    for event in response.events:
                        watched.events.append(event)
                        watched.arrived.append(self._loop.time())
                        watched.next_revision = event.kv.mod_revision + 1
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass
            await asyncio.sleep(RETRY)
            number = (number + 1) % len(self._clients)
