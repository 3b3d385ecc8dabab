import asyncio
import logging
from random import Random

import pytest

from podling.aiokit.backoff import Backoff
from podling.kube import kinds
from podling.kube.errors import Conflict
from podling.kube.reconciler import DONE, Reconciler, RequeueAfter, Result

BACKOFF = Backoff(first=0.01, cap=0.02, dice=Random(1))


class Script:
    """Answers successive calls by a list of outcomes, and wakes who waits for the last one."""

    def __init__(self, *outcomes: Result | Exception) -> None:
        self._outcomes = list(outcomes)
        self.keys: list[str] = []
        self.over = asyncio.Event()

    async def reconcile(self, key: str) -> Result:
        self.keys.append(key)
        outcome = self._outcomes.pop(0)
        if not self._outcomes:
            self.over.set()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def run(script: Script, *keys: str) -> None:
    reconciler = Reconciler("test", script.reconcile, BACKOFF)
    for key in keys:
        reconciler.enqueue(key)
    await reconciler.start()
    try:
        async with asyncio.timeout(15):
            await script.over.wait()
    finally:
        await reconciler.stop()


async def test_each_enqueued_key_is_reconciled() -> None:
    script = Script(DONE, DONE)
    await run(script, "a", "b", "a")
    assert script.keys == ["a", "b"]


async def test_a_failed_key_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    script = Script(ValueError("no way"), DONE)
    await run(script, "default/web")
    assert script.keys == ["default/web"] * 2
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "default/web" in record.getMessage()
    assert record.exc_info


async def test_a_conflict_is_tried_again_without_noise(caplog: pytest.LogCaptureFixture) -> None:
    script = Script(Conflict(kind=kinds.POD, name="x"), DONE)
    await run(script, "x")
    assert script.keys == ["x", "x"]
    assert not [record for record in caplog.records if record.levelno >= logging.INFO]


async def test_requeue_after_comes_back_on_time() -> None:
    script = Script(RequeueAfter(0.03), DONE)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await run(script, "x")
    assert loop.time() - began >= 0.03


async def test_workers_take_different_keys_at_the_same_time() -> None:
    together = asyncio.Barrier(3)

    async def reconcile(key: str) -> Result:
        await together.wait()
        return DONE

    reconciler = Reconciler("test", reconcile, BACKOFF, workers=2)
    await reconciler.start()
    reconciler.enqueue("a")
    reconciler.enqueue_after("b", 0.01)
    try:
        async with asyncio.timeout(15):
            await together.wait()
    finally:
        await reconciler.stop()
