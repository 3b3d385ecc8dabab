"""What is written down of operations, whichever way they end."""

import asyncio
import math

import pytest

from podling.aiokit.tasks import TaskSet
from podling.simulate.histories import Operation, Outcome, Recorder, RecordingClient
from podling.simulate.linearizability import Read, Write


def standing_clock() -> float:
    """Virtual time, in one instant."""
    return 5.0


async def answer(request: object) -> str:
    return f"{request} done"


def classify(error: Exception) -> Outcome | None:
    if isinstance(error, ConnectionRefusedError):
        return Outcome.FAILED
    return Outcome.UNKNOWN if isinstance(error, TimeoutError) else None


async def fail(error: Exception) -> Operation:
    recorder = Recorder(standing_clock)

    async def execute(_: object) -> None:
        raise error

    assert await RecordingClient("c", recorder, execute, classify).do("put") is None
    (operation,) = recorder.history()
    return operation


async def test_what_is_told_in_one_instant_stays_in_order() -> None:
    recorder = Recorder(standing_clock)
    client = RecordingClient("c", recorder, answer, classify)
    assert await client.do("a") == "a done"
    await client.do("b")
    one, two = recorder.history()
    assert one.invoked < one.returned < two.invoked < two.returned
    assert one.precedes(two)
    assert not two.precedes(one)
    assert two.returned == pytest.approx(5.0)


async def test_a_refusal_is_certain_and_a_timeout_is_not() -> None:
    refused = await fail(ConnectionRefusedError("no"))
    assert (refused.outcome, refused.error) == (Outcome.FAILED, "no")
    late = await fail(TimeoutError())
    assert (late.outcome, late.error) == (Outcome.UNKNOWN, "TimeoutError")
    assert math.isinf(late.returned)
    with pytest.raises(ZeroDivisionError):
        await fail(ZeroDivisionError())


async def test_a_client_that_is_cancelled_leaves_an_unknown_outcome() -> None:
    recorder = Recorder(standing_clock)
    never = asyncio.Event()

    async def hang(_: object) -> None:
        await never.wait()

    async with TaskSet("test") as tasks:
        tasks.spawn(RecordingClient("c", recorder, hang, classify).do("put"), name="client")
        await asyncio.sleep(0)
    (operation,) = recorder.history()
    assert operation.outcome is Outcome.UNKNOWN


def test_an_operation_reads_as_a_line() -> None:
    done = Operation("c", Write("a", 1), 1.0, 2.5, None, Outcome.OK)
    assert str(done) == "[1.000000 2.500000] c: Write(key='a', value=1) -> None"
    unknown = Operation("c", Read("a"), 1.0, error="timed out")
    assert str(unknown) == "[1.000000 ...] c: Read(key='a') -> unknown (timed out)"
    assert done.weakened() == Operation("c", Write("a", 1), 1.0)
