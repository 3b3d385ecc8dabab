import asyncio

import pytest

from podling.kube import kinds
from podling.kube.client import Client
from podling.kube.event_recorder import MAX_WAITING, NORMAL, WARNING, EventRecorder
from podling.kube.meta import Object
from podling.simulate.api_server import MemoryApiServer

POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default", "uid": "u1"},
}


def recorder(client: Client) -> EventRecorder:
    return EventRecorder(client, "kubelet", lambda: 1000.0, host="node-1")


async def events(client: Client) -> dict[str, int]:
    found = await client.list(kinds.EVENT, "default")
    return {event["message"]: event["count"] for event in found.items}


async def written(client: Client, wanted: dict[str, int]) -> None:
    try:
        async with asyncio.timeout(15):
            while await events(client) != wanted:  # noqa: ASYNC110 - the API has no event for it
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"{await events(client)} is not {wanted}") from None


async def test_what_happens_again_is_counted_in_one_event(client: Client) -> None:
    events = recorder(client)
    await events.start()
    events.event(POD, WARNING, "BackOff", "restarting a")
    await written(client, {"restarting a": 1})
    events.event(POD, WARNING, "BackOff", "restarting a")
    events.event(POD, NORMAL, "Started", "started b")
    await written(client, {"restarting a": 2, "started b": 1})
    await events.stop()


async def test_an_event_that_the_server_forgot_is_made_again(client: Client) -> None:
    events = recorder(client)
    await events.start()
    events.event(POD, NORMAL, "Pulled", "x")
    await written(client, {"x": 1})
    (found,) = (await client.list(kinds.EVENT, "default")).items
    await client.delete(kinds.EVENT, found["metadata"]["name"], "default")
    events.event(POD, NORMAL, "Pulled", "x")
    await written(client, {"x": 2})
    await events.stop()


async def test_stopping_writes_what_still_waits(client: Client) -> None:
    recording = recorder(client)
    await recording.start()
    for number in range(5):
        recording.event(POD, NORMAL, "R", str(number))
    await recording.stop()
    assert await events(client) == {str(number): 1 for number in range(5)}


async def test_a_server_that_is_away_for_a_moment_gets_the_event_later(
    server: MemoryApiServer, client: Client
) -> None:
    recording = recorder(client)
    await recording.start()
    server.down = True
    recording.event(POD, NORMAL, "R", "x")
    await asyncio.sleep(0.01)
    server.down = False
    await written(client, {"x": 1})
    await recording.stop()


async def test_too_much_is_dropped_and_said(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    recording = recorder(client)
    for number in range(MAX_WAITING + 2):
        recording.event(POD, NORMAL, "R", str(number))
    await recording.start()
    await recording.stop()
    assert len(await events(client)) == MAX_WAITING
    assert "dropped 2 events" in caplog.text


async def test_recording_never_raises(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    recorder(client).event({"metadata": {"name": "x", "labels": 7}}, NORMAL, "R", None)  # type: ignore[arg-type]
    assert "cannot record R on x" in caplog.text
