import asyncio
import time

from prometheus_client import CollectorRegistry

from podling.aiokit.loop_lag import LoopLag

STALL = 0.06


def samples(registry: CollectorRegistry, at_most: float | None = None) -> float:
    name = "podling_event_loop_lag_seconds"
    if at_most is None:
        return registry.get_sample_value(f"{name}_count") or 0.0
    return registry.get_sample_value(f"{name}_bucket", {"le": str(at_most)}) or 0.0


async def sampled(registry: CollectorRegistry, count: int) -> None:
    async with asyncio.timeout(15):
        while samples(registry) < count:  # noqa: ASYNC110 - a metric cannot be awaited
            await asyncio.sleep(0.001)


async def test_a_blocked_loop_is_seen() -> None:
    registry = CollectorRegistry()
    lag = LoopLag(registry, interval=0.01)
    await lag.start()
    await sampled(registry, 1)
    before = samples(registry) - samples(registry, at_most=0.02)
    until = time.perf_counter() + STALL
    while time.perf_counter() < until:
        pass
    seen = samples(registry)
    await sampled(registry, int(seen) + 1)
    assert samples(registry) - samples(registry, at_most=0.02) > before
    await lag.stop()


async def test_a_stopped_one_samples_no_more() -> None:
    registry = CollectorRegistry()
    lag = LoopLag(registry, interval=0.001)
    await lag.start()
    await sampled(registry, 1)
    await lag.stop()
    seen = samples(registry)
    await asyncio.sleep(0.01)
    assert samples(registry) == seen
