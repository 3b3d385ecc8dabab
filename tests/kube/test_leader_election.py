"""Leader election against the simulated API server, with short times."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from podling.kube import kinds
from podling.kube.client import Client
from podling.kube.leader_election import LeaderElectionConfig, LeaderElector
from podling.simulate.api_server import MemoryApiServer
from tests.kube.link import Link

PATIENCE = 30.0


def config(identity: str) -> LeaderElectionConfig:
    return LeaderElectionConfig(
        lease_name="test",
        namespace="kube-system",
        identity=identity,
        lease_duration=0.4,
        renew_deadline=0.2,
        retry_period=0.02,
    )


class Work:
    """What the leader does; remembers who did it and whether two ever did at a time."""

    def __init__(self) -> None:
        self.leaders: list[str] = []
        self._now: set[str] = set()
        self._news = asyncio.Event()

    def of(self, identity: str) -> "Worker":
        return Worker(self, identity)

    def enter(self, identity: str) -> None:
        assert not self._now, f"{identity} leads beside {self._now}"
        self._now.add(identity)
        self.leaders.append(identity)
        self._news.set()

    async def led_by(self, *identities: str) -> None:
        """Wait until these, in this order, have led."""
        async with asyncio.timeout(PATIENCE):
            while self.leaders != list(identities):
                self._news.clear()
                await self._news.wait()

    def leave(self, identity: str) -> None:
        self._now.discard(identity)


class Worker:
    def __init__(self, work: Work, identity: str) -> None:
        self._work = work
        self._identity = identity
        self.fail = asyncio.Event()

    async def lead(self) -> None:
        self._work.enter(self._identity)
        try:
            await self.fail.wait()
            raise RuntimeError("the work failed")
        finally:
            self._work.leave(self._identity)


def elector(
    client: Client, work: Work, identity: str, worker: Worker | None = None
) -> LeaderElector:
    worker = worker or work.of(identity)
    return LeaderElector(client, config(identity), worker.lead, wall_clock=lambda: 1000.25)


async def leads(candidate: LeaderElector) -> None:
    async with asyncio.timeout(PATIENCE):
        await candidate.wait_leader()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def started(stack: AsyncExitStack, candidate: LeaderElector) -> LeaderElector:
    await candidate.start()
    stack.push_async_callback(candidate.stop)
    return candidate


async def test_one_leads_and_another_waits(client: Client, stack: AsyncExitStack) -> None:
    work = Work()
    first = await started(stack, elector(client, work, "a"))
    await leads(first)
    second = await started(stack, elector(client, work, "b"))
    for _ in range(10):
        await asyncio.sleep(0.02)
    assert first.is_leader and not second.is_leader
    assert second.leader == "a"
    lease = await client.get(kinds.LEASE, "test", "kube-system")
    assert lease["spec"]["holderIdentity"] == "a"
    assert lease["spec"]["renewTime"] == "1970-01-01T00:16:40.250000Z"


async def test_who_stops_in_good_order_hands_over_at_once(
    client: Client, stack: AsyncExitStack
) -> None:
    work = Work()
    first = elector(client, work, "a")
    await first.start()
    await leads(first)
    second = await started(stack, elector(client, work, "b"))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await first.stop()
    await leads(second)
    assert loop.time() - began < 0.3
    await work.led_by("a", "b")


async def test_a_dead_holder_is_replaced_after_its_lease(
    server: MemoryApiServer, client: Client, stack: AsyncExitStack
) -> None:
    work = Work()
    cut_off = Link(server)
    first = await started(stack, elector(Client(cut_off, user_agent="a"), work, "a"))
    await leads(first)
    second = await started(stack, elector(client, work, "b"))
    cut_off.down = True
    await leads(second)
    assert not first.is_leader
    await work.led_by("a", "b")
    cut_off.down = False
    await asyncio.sleep(0.1)
    assert second.is_leader and not first.is_leader


async def test_a_restarted_holder_takes_its_lease_back_at_once(
    server: MemoryApiServer, stack: AsyncExitStack
) -> None:
    work = Work()
    link = Link(server)
    first = elector(Client(link, user_agent="a"), work, "a")
    await first.start()
    await leads(first)
    link.down = True  # It dies without giving its lease up.
    await first.stop()
    again = await started(stack, elector(Client(server, user_agent="a"), work, "a"))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await leads(again)
    assert loop.time() - began < 0.3
    lease = await Client(server, user_agent="t").get(kinds.LEASE, "test", "kube-system")
    assert lease["spec"]["leaseTransitions"] == 0


async def test_a_short_outage_does_not_end_leadership(
    server: MemoryApiServer, client: Client, stack: AsyncExitStack
) -> None:
    work = Work()
    first = await started(stack, elector(client, work, "a"))
    await leads(first)
    server.down = True
    await asyncio.sleep(0.08)
    server.down = False
    await asyncio.sleep(0.3)
    assert first.is_leader
    assert work.leaders == ["a"]


async def test_work_that_fails_gives_leadership_up(
    client: Client, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work()
    worker = work.of("a")
    first = await started(stack, elector(client, work, "a", worker))
    await leads(first)
    worker.fail.set()
    second = await started(stack, elector(client, work, "b"))
    await leads(second)
    assert "the leader's work failed" in caplog.text


@pytest.mark.parametrize("times", [(3, 2, 2), (2, 2, 1), (3, 2, 0)])
def test_times_in_the_wrong_order_are_refused(times: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="times must rise"):
        LeaderElectionConfig("x", "ns", "a", *times)


def test_an_identity_is_needed() -> None:
    with pytest.raises(ValueError, match="identity"):
        LeaderElectionConfig("x", "ns", "")


async def test_a_cluster_that_is_being_started_does_not_wait_a_whole_period_for_its_leader(
    server: MemoryApiServer, client: Client, stack: AsyncExitStack
) -> None:
    server.down = True
    slow = LeaderElectionConfig("test", "kube-system", "a", 20, 15, 10)
    worker = Work().of("a")
    candidate = await started(
        stack, LeaderElector(client, slow, worker.lead, wall_clock=lambda: 0.0)
    )
    await asyncio.sleep(0.1)
    server.down = False
    await leads(candidate)
