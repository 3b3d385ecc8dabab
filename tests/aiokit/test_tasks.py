"""Tasks are owned, and their deaths noticed."""

import asyncio
import logging

import pytest

from podling.aiokit.tasks import TaskSet


async def forever() -> None:
    await asyncio.Event().wait()


async def test_closing_cancels_what_still_runs_and_waits_for_it() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            ended.append("work")

    async with TaskSet("owner") as tasks:
        tasks.spawn(work(), name="work")
        await asyncio.sleep(0)
        assert len(tasks) == 1
    assert ended == ["work"]
    assert len(tasks) == 0


async def test_a_task_that_another_one_starts_while_it_ends_is_closed_too() -> None:
    tasks = TaskSet("owner")

    async def work() -> None:
        try:
            await forever()
        finally:
            tasks.spawn(forever(), name="late")

    tasks.spawn(work(), name="work")
    await asyncio.sleep(0)
    await tasks.close()
    assert len(tasks) == 0


async def test_a_death_is_logged_with_its_name_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    deaths: list[tuple[str, str]] = []
    tasks = TaskSet("owner", lambda name, error: deaths.append((name, str(error))))

    async def fail() -> None:
        raise ValueError("on purpose")

    with caplog.at_level(logging.ERROR):
        task = tasks.spawn(fail(), name="work")
        await asyncio.wait([task])
    assert deaths == [("owner/work", "on purpose")]
    assert "owner/work died" in caplog.text


async def test_an_end_and_a_cancellation_are_no_deaths() -> None:
    deaths: list[str] = []
    tasks = TaskSet("owner", lambda name, _: deaths.append(name))
    tasks.spawn(asyncio.sleep(0), name="done")
    tasks.spawn(forever(), name="cancelled").cancel()
    await tasks.close()
    assert deaths == []


async def test_a_cancellation_that_nobody_asked_for_is_a_death() -> None:
    deaths: list[str] = []
    tasks = TaskSet("owner", lambda name, _: deaths.append(name))

    async def work() -> None:
        raise asyncio.CancelledError

    await asyncio.wait([tasks.spawn(work(), name="work")])
    assert deaths == ["owner/work"]
