"""Virtual time: it jumps, it is the same every time, and each process has its own."""

import asyncio
from collections.abc import Callable

import pytest

from podling.simulate.event_loop import Stuck, VirtualLoop, VirtualTime


def no_error(process: str, error: BaseException | None, text: str) -> None:
    raise AssertionError(f"{process}: {text}: {error!r}")


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime(no_error)


def run(time: VirtualTime, done: Callable[[], bool]) -> None:
    time.run_until(done, lambda loop: None)


async def sleep_and_tell(seconds: float, told: list[float], time: VirtualTime) -> None:
    await asyncio.sleep(seconds)
    told.append(time.now)


def test_time_jumps_to_the_next_timer(time: VirtualTime) -> None:
    told: list[float] = []
    time.new_loop("a").create_task(sleep_and_tell(3600, told, time))
    run(time, lambda: bool(told))

    assert told == [3600]


def test_timers_of_the_same_time_run_in_the_order_in_which_they_were_set(
    time: VirtualTime,
) -> None:
    order: list[int] = []
    loop = time.new_loop("a")
    for number in range(5):
        loop.call_at(1.0, order.append, number)
    run(time, lambda: len(order) == 5)

    assert order == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("rate", "takes"), [(1.0, 10.0), (1.25, 8.0), (0.5, 20.0)])
def test_a_clock_runs_at_its_own_rate(time: VirtualTime, rate: float, takes: float) -> None:
    told: list[float] = []
    loop = time.new_loop("a", rate=rate, origin=500)
    loop.create_task(sleep_and_tell(10, told, time))
    run(time, lambda: bool(told))

    assert told == pytest.approx([takes])
    assert loop.time() == pytest.approx(510)


def test_a_timer_is_never_early_although_its_clock_was_slowed_down(time: VirtualTime) -> None:
    loop = time.new_loop("a")
    shown: list[float] = []
    loop.call_at(10, lambda: shown.append(loop.time()))
    loop.call_at(5, loop.set_rate, 0.1)
    run(time, lambda: bool(shown))

    assert shown[0] >= 10
    assert time.now == pytest.approx(55)


def test_a_timeout_ends_what_waits(time: VirtualTime) -> None:
    async def wait() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    task = time.new_loop("a").create_task(wait())
    run(time, task.done)

    assert task.result() == 5


def test_what_is_killed_does_nothing_any_more_not_even_to_end(time: VirtualTime) -> None:
    done: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(10)
            done.append("work")
        finally:
            done.append("finally")

    victim, other = time.new_loop("victim"), time.new_loop("other")
    victim.create_task(work())
    other.call_at(5, victim.kill)
    other.call_at(20, done.append, "other")
    run(time, lambda: bool(done))

    assert done == ["other"]
    time.close()


def test_what_is_paused_goes_on_later_with_all_that_became_due(time: VirtualTime) -> None:
    done: list[tuple[str, float]] = []
    loop, other = time.new_loop("paused"), time.new_loop("other")
    for at in (1.0, 2.0):
        loop.call_at(at, lambda at=at: done.append((f"due at {at}", time.now)))
    loop.pause()
    other.call_at(7, loop.resume)
    run(time, lambda: len(done) == 2)

    assert done == [("due at 1.0", 7), ("due at 2.0", 7)]


def test_something_can_happen_after_a_number_of_callbacks(time: VirtualTime) -> None:
    loop = time.new_loop("a")
    ran: list[int] = []
    loop.after(3, loop.kill)
    for number in range(10):
        loop.call_soon(ran.append, number)
    with pytest.raises(Stuck, match="nothing is left"):
        run(time, lambda: False)

    assert ran == [0, 1, 2]


def test_an_instant_that_never_ends_is_noticed(time: VirtualTime) -> None:
    loop = time.new_loop("a")

    def again() -> None:
        loop.call_soon(again)

    again()
    with pytest.raises(Stuck, match="time stands still"):
        run(time, lambda: False)


def test_what_nobody_catches_is_reported() -> None:
    told: list[tuple[str, str]] = []
    time = VirtualTime(lambda process, error, text: told.append((process, repr(error))))

    def fail() -> None:
        raise ValueError("oh")

    time.new_loop("a").call_soon(fail)
    run(time, lambda: bool(told))

    assert told == [("a", "ValueError('oh')")]


def test_each_callback_runs_with_its_own_loop(time: VirtualTime) -> None:
    found: list[asyncio.AbstractEventLoop] = []
    loops: list[VirtualLoop] = [time.new_loop("a"), time.new_loop("b")]
    for loop in [*loops, *loops]:
        loop.call_soon(lambda: found.append(asyncio.get_running_loop()))
    run(time, lambda: len(found) == 4)

    assert found == [*loops, *loops]
