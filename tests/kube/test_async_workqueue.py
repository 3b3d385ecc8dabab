import asyncio
from random import Random

import uvloop

from podling.aiokit.backoff import Backoff
from podling.aiokit.tasks import TaskSet
from podling.kube.async_workqueue import AsyncWorkQueue


def make_queue() -> AsyncWorkQueue:
    return AsyncWorkQueue(Backoff(first=0.01, cap=0.02, dice=Random(1)))


async def test_a_worker_that_waits_is_woken_by_an_addition() -> None:
    queue = make_queue()
    async with TaskSet("test") as tasks:
        getting = tasks.spawn(queue.get(), name="get")
        await asyncio.sleep(0)
        queue.add("a")
        async with asyncio.timeout(15):
            assert await getting == "a"


async def test_every_waiting_worker_gets_a_key_of_a_burst() -> None:
    queue = make_queue()
    async with TaskSet("test") as tasks:
        getting = [tasks.spawn(queue.get(), name=str(n)) for n in range(3)]
        await asyncio.sleep(0)
        for key in "abc":
            queue.add(key)
        async with asyncio.timeout(15):
            assert {await task for task in getting} == {"a", "b", "c"}


async def test_a_worker_cancelled_after_its_wake_up_leaves_the_key_to_another() -> None:
    queue = make_queue()
    async with TaskSet("test") as tasks:
        first = tasks.spawn(queue.get(), name="first")
        second = tasks.spawn(queue.get(), name="second")
        await asyncio.sleep(0)
        queue.add("a")
        first.cancel()
        async with asyncio.timeout(15):
            assert await second == "a"


async def test_delays_run_on_the_loops_clock() -> None:
    queue = make_queue()
    loop = asyncio.get_running_loop()
    began = loop.time()
    queue.add_after("late", 0.06)
    queue.add_after("early", 0.02)
    async with asyncio.timeout(15):
        assert [await queue.get(), await queue.get()] == ["early", "late"]
    assert loop.time() - began >= 0.06


async def test_what_is_done_while_it_was_added_again_wakes_the_next_worker() -> None:
    queue = make_queue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    async with TaskSet("test") as tasks:
        again = tasks.spawn(queue.get(), name="again")
        await asyncio.sleep(0)
        assert not again.done()
        queue.done("a")
        async with asyncio.timeout(15):
            assert await again == "a"


async def test_a_failed_key_comes_back_after_its_delay() -> None:
    queue = make_queue()
    queue.add("a")
    key = await queue.get()
    assert queue.retry(key) <= 0.01
    queue.done(key)
    assert len(queue) == 0 and not queue.idle
    async with asyncio.timeout(15):
        assert await queue.get() == "a"
    queue.close()


def test_delays_that_are_over_at_once_do_not_stand_in_each_others_way() -> None:
    """On the product's event loop, whose handle for such a delay has no time."""

    async def work() -> list[str]:
        queue = make_queue()
        for key in "abc":
            queue.add_after(key, 0.0)
        queue.retry("d")
        async with asyncio.timeout(15):
            return sorted([await queue.get() for _ in "abcd"])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(work()) == ["a", "b", "c", "d"]
