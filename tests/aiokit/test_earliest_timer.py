import asyncio

from podling.aiokit.earliest_timer import EarliestTimer


class Bell:
    """Remembers when it rang."""

    def __init__(self) -> None:
        self.rung: list[float] = []
        self._changed = asyncio.Event()

    def ring(self, when: float) -> None:
        self.rung.append(when)
        self._changed.set()

    async def wait(self) -> None:
        async with asyncio.timeout(15):
            await self._changed.wait()
        self._changed.clear()


async def test_only_the_earliest_wish_rings() -> None:
    bell = Bell()
    timer = EarliestTimer(bell.ring)
    now = asyncio.get_running_loop().time()
    for seconds in (60.0, 0.01, 30.0):
        timer.ask(now + seconds)
    await bell.wait()
    assert bell.rung == [now + 0.01]


async def test_times_that_have_come_already_ring_at_once_and_only_once() -> None:
    bell = Bell()
    timer = EarliestTimer(bell.ring)
    now = asyncio.get_running_loop().time()
    for seconds in (0.0, 0.0, -1.0, 60.0):
        timer.ask(now + seconds)
    await bell.wait()
    assert bell.rung == [now - 1.0]


async def test_it_may_be_asked_again_from_its_own_ringing() -> None:
    bell = Bell()
    rings = 3

    def ring(when: float) -> None:
        bell.ring(when)
        if len(bell.rung) < rings:
            timer.ask(when)

    timer = EarliestTimer(ring)
    timer.ask(asyncio.get_running_loop().time())
    while len(bell.rung) < rings:
        await bell.wait()


async def test_what_is_cancelled_does_not_ring() -> None:
    bell = Bell()
    timer = EarliestTimer(bell.ring)
    now = asyncio.get_running_loop().time()
    timer.ask(now)
    timer.cancel()
    timer.ask(now + 0.001)
    await bell.wait()
    assert bell.rung == [now + 0.001]
