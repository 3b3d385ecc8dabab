"""The event stream never waits for a reader, and says so when one is too slow."""

import pytest

from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri.cri_errors import CriError
from podling.node.runtime.cri.events import UNREAD_LIMIT, EventStream

EVENT = cri.ContainerEventResponse(container_id="c1")


async def test_every_reader_gets_every_event_until_the_end() -> None:
    events = EventStream()
    one, other = events.subscribe(), events.subscribe()
    events.publish(EVENT)
    other.close()
    events.publish(EVENT)
    events.close()
    assert [await one.next() for _ in range(3)] == [EVENT, EVENT, None]
    assert await other.next() == EVENT
    assert await events.subscribe().next() is None


async def test_a_reader_that_is_too_slow_is_told_to_list_again() -> None:
    events = EventStream()
    slow = events.subscribe()
    for _ in range(UNREAD_LIMIT + 1):
        events.publish(EVENT)
    with pytest.raises(CriError, match="list again"):
        await slow.next()
