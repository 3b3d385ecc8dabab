import asyncio
import gc
from collections.abc import AsyncIterator, Iterator

import pytest
from prometheus_client import CollectorRegistry

from podling.aiokit.collector import CollectorConfig, ScheduledCollector
from tests.waiting import until


class Processor:
    """Says how much processor time was used; `load` is added at every question."""

    def __init__(self) -> None:
        self.load = 0.0
        self._used = 0.0

    def time(self) -> float:
        self._used += self.load
        return self._used


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def processor() -> Processor:
    return Processor()


@pytest.fixture
async def collector(
    registry: CollectorRegistry, processor: Processor
) -> AsyncIterator[ScheduledCollector]:
    config = CollectorConfig(interval=0.01, patience=60.0)
    made = ScheduledCollector(registry, config, processor_time=processor.time)
    await made.start()
    yield made
    await made.stop()


def passes(registry: CollectorRegistry, generation: int) -> float:
    labels = {"generation": str(generation)}
    return registry.get_sample_value("podling_gc_pause_seconds_count", labels) or 0.0


@pytest.mark.usefixtures("collector")
async def test_an_idle_process_with_garbage_makes_a_full_pass(registry: CollectorRegistry) -> None:
    gc.collect(1)
    await until(lambda: passes(registry, 2) > 0, "a full pass")


@pytest.mark.usefixtures("collector")
async def test_without_garbage_there_is_none(registry: CollectorRegistry) -> None:
    gc.collect()
    seen = passes(registry, 2)
    await asyncio.sleep(0.05)
    assert passes(registry, 2) == seen


@pytest.mark.usefixtures("collector")
async def test_a_busy_process_puts_it_off(
    registry: CollectorRegistry, processor: Processor
) -> None:
    processor.load = 1.0
    gc.collect(1)
    await asyncio.sleep(0.6)
    assert passes(registry, 2) == 0
    processor.load = 0.0
    await until(lambda: passes(registry, 2) > 0, "a full pass")


async def test_a_busy_process_cannot_put_it_off_for_ever(
    registry: CollectorRegistry, processor: Processor
) -> None:
    processor.load = 1.0
    config = CollectorConfig(interval=0.01, patience=0.3)
    collector = ScheduledCollector(registry, config, processor_time=processor.time)
    await collector.start()
    gc.collect(1)
    await until(lambda: passes(registry, 2) > 0, "a full pass")
    await collector.stop()


@pytest.mark.usefixtures("collector")
async def test_what_was_loaded_before_is_frozen_and_full_passes_are_not_spontaneous() -> None:
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[2] > 10**9


async def test_a_stopped_one_leaves_the_collector_as_it_was(registry: CollectorRegistry) -> None:
    gc.set_threshold(700, 10, 10)
    callbacks = list(gc.callbacks)
    collector = ScheduledCollector(registry)
    await collector.start()
    await collector.stop()
    assert gc.get_threshold() == (700, 10, 10)
    assert gc.callbacks == callbacks


async def test_too_many_old_objects_for_a_short_pass_are_frozen(
    registry: CollectorRegistry,
) -> None:
    collector = ScheduledCollector(registry, CollectorConfig(max_pause=0.0))
    await collector.start()
    frozen = gc.get_freeze_count()
    kept = [[number] for number in range(1000)]
    gc.collect(1)
    assert gc.get_freeze_count() >= frozen + len(kept)
    await collector.stop()


async def test_few_old_objects_are_not_frozen(registry: CollectorRegistry) -> None:
    collector = ScheduledCollector(registry, CollectorConfig(max_pause=60.0))
    await collector.start()
    frozen = gc.get_freeze_count()
    gc.collect(1)
    assert gc.get_freeze_count() <= frozen
    await collector.stop()
