import asyncio

from podling.controlplane.replica.ticker import Ticker
from tests.waiting import until

INTERVAL = 0.01


def stall(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Hold the event loop up for so long, as a slow callback does."""
    end = loop.time() + seconds
    while loop.time() < end:
        pass


async def test_ticks_come_at_their_pace() -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []
    began = loop.time()
    ticker = Ticker(INTERVAL, lambda: times.append(loop.time()))
    await until(lambda: len(times) >= 10, "ten ticks")
    ticker.stop()

    assert times[9] - began >= 10 * INTERVAL


async def test_a_stall_counts_as_one_tick_and_lets_others_go_first() -> None:
    loop = asyncio.get_running_loop()
    events: list[str] = []
    ticker = Ticker(INTERVAL, lambda: events.append("tick"))
    stall(loop, 20 * INTERVAL)
    # What came in during the stall is handled by later iterations of the loop.
    loop.call_later(0, lambda: loop.call_soon(lambda: events.append("message")))
    await until(lambda: "tick" in events, "a tick")
    ticker.stop()

    assert events == ["message", "tick"]


async def test_a_loop_that_is_always_late_still_ticks() -> None:
    loop = asyncio.get_running_loop()
    ticks: list[float] = []

    def hog() -> None:
        stall(loop, 3 * INTERVAL)
        nonlocal handle
        handle = loop.call_soon(hog)

    handle = loop.call_soon(hog)
    ticker = Ticker(INTERVAL, lambda: ticks.append(loop.time()))
    await until(lambda: len(ticks) >= 5, "five ticks")
    ticker.stop()
    handle.cancel()
