"""A process starts its components in order and stops them in reverse."""

import asyncio
import os
import signal

import pytest

from podling.aiokit import components
from podling.aiokit.components import Stop, run


class Part:
    """A component that writes down what happens to it."""

    def __init__(self, name: str, story: list[str], fails: str = "") -> None:
        self.name = name
        self._story = story
        self._fails = fails

    async def start(self) -> None:
        self._story.append(f"start {self.name}")
        if self._fails == "start":
            raise OSError("port in use")

    async def stop(self) -> None:
        self._story.append(f"stop {self.name}")
        if self._fails == "stop":
            raise OSError("no")
        if self._fails == "hang":
            await asyncio.Event().wait()


@pytest.fixture
def story() -> list[str]:
    return []


async def test_order_and_reverse_order(story: list[str]) -> None:
    stop = Stop()
    stop.ask()
    assert await run([Part("a", story), Part("b", story)], stop) == 0
    assert story == ["start a", "start b", "stop b", "stop a"]


async def test_sigterm_ends_it_in_good_order(story: list[str]) -> None:
    class Signalling(Part):
        async def start(self) -> None:
            await super().start()
            os.kill(os.getpid(), signal.SIGTERM)

    assert await run([Signalling("a", story)], Stop()) == 0
    assert story == ["start a", "stop a"]


async def test_a_component_that_cannot_start_stops_those_before_it(story: list[str]) -> None:
    parts = [Part("a", story), Part("b", story, "start"), Part("c", story)]
    assert await run(parts, Stop()) == 1
    assert story == ["start a", "start b", "stop b", "stop a"]


async def test_a_death_of_something_vital_ends_the_process_with_failure(story: list[str]) -> None:
    stop = Stop()
    asyncio.get_running_loop().call_soon(stop.fail, "raft", OSError("disk gone"))
    assert await run([Part("a", story)], stop) == 1
    assert isinstance(stop.failure, OSError)


@pytest.mark.parametrize("fails", ["stop", "hang"])
async def test_one_that_does_not_stop_keeps_no_other_from_it(
    story: list[str], fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(components, "STOP_DEADLINE", 0.01)
    stop = Stop()
    stop.ask()
    await run([Part("a", story), Part("b", story, fails)], stop)
    assert story[-1] == "stop a"


class Wrong(Part):
    """Raises what it is given."""

    def __init__(self, error: Exception) -> None:
        super().__init__("wrong", [])
        self._error = error

    async def start(self) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "traceback"),
    [
        (OSError("port in use"), False),
        (LookupError("no such directory"), False),
        (TimeoutError(), True),
        (ValueError("a defect"), True),
    ],
)
async def test_only_a_defect_is_told_with_its_traceback(
    error: Exception, traceback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert await run([Wrong(error)], Stop(), (LookupError,)) == 1

    (record,) = (each for each in caplog.records if "did not start" in each.getMessage())
    assert bool(record.exc_info) == traceback
