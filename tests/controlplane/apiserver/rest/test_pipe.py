import asyncio

import pytest

from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.request.messages import Sink
from podling.controlplane.apiserver.rest.pipe import HIGH_WATER, Pipe


async def test_pieces_come_as_they_were_written_and_then_an_end() -> None:
    pipe = Pipe()
    for data in (b"one", b"", b"two"):
        pipe.write(data)
    pipe.end()
    assert [piece async for piece in pipe.pieces()] == [b"one", b"two"]
    assert (pipe.buffered, pipe.broken) == (0, False)


async def test_chunks_are_all_that_waits() -> None:
    pipe = Pipe()
    pipe.write(b"one")
    pipe.write(b"two")
    pipe.end()
    assert [chunk async for chunk in pipe.chunks()] == [b"onetwo"]


async def test_a_writer_waits_for_a_reader_who_is_behind() -> None:
    pipe = Pipe()
    pipe.write(b"x" * (HIGH_WATER + 1))
    async with TaskSet("writer") as tasks:
        drained = tasks.spawn(pipe.drain(), name="drain")
        await asyncio.sleep(0)
        assert not drained.done()
        assert len(await anext(pipe.pieces())) == HIGH_WATER + 1
        async with asyncio.timeout(15):
            await drained


async def test_what_a_failing_stream_wrote_is_not_taken_for_the_whole() -> None:
    async def fails(sink: Sink) -> None:
        sink.write(b"half")
        raise OSError("the node is gone")

    pipe = Pipe()
    with pytest.raises(OSError, match="gone"):
        await pipe.fill(fails)
    assert [piece async for piece in pipe.pieces()] == []
    assert pipe.broken


async def test_nothing_is_kept_for_a_reader_who_went() -> None:
    pipe = Pipe()
    pipe.end()
    pipe.write(b"late")
    await pipe.drain()
    assert pipe.buffered == 0
