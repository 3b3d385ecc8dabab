"""The clock that tests run on."""

import asyncio
import time

import pytest

from tests.steady_loop import SteadyLoop

STALL = 0.2


@pytest.fixture
def loop() -> SteadyLoop:
    return SteadyLoop()


def test_a_stall_is_not_counted(loop: SteadyLoop) -> None:
    async def stall() -> float:
        began = loop.time()
        for _ in range(2):
            await asyncio.sleep(0)
            until = time.perf_counter() + STALL
            while time.perf_counter() < until:
                pass
        await asyncio.sleep(0)
        return loop.time() - began

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(stall()) < STALL


def test_waiting_is_counted(loop: SteadyLoop) -> None:
    async def wait() -> float:
        began = time.perf_counter()
        await asyncio.sleep(0.05)
        return time.perf_counter() - began

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(wait()) >= 0.049


def test_a_deadline_comes_even_if_the_loop_never_rests(loop: SteadyLoop) -> None:
    async def turn() -> None:
        async with asyncio.timeout(0.05):
            while True:  # noqa: ASYNC110 - a loop that is busy
                await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=lambda: loop) as runner, pytest.raises(TimeoutError):
        runner.run(turn())
