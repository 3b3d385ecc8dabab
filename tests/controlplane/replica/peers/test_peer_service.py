"""What a peer may say on a stream, and what happens to the rest."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from podling.controlplane.raft.messages import Heartbeat
from podling.controlplane.raftpb import peer_pb2 as pb
from podling.controlplane.raftpb.peer_pb2_grpc import PeerStub
from podling.controlplane.replica.peers import wire
from podling.controlplane.replica.peers.peer_security import Gate
from tests.controlplane.replica.contract_transport import Recorder
from tests.controlplane.replica.linked_peers import Peers
from tests.waiting import until

HEARTBEAT = Heartbeat(1, 2, 3, commit=4)


class Stream:
    """Opened by member 1 to member 2, by hand."""

    def __init__(self, call: "grpc.aio.StreamStreamCall[pb.Batch, pb.Empty]") -> None:
        self.call = call
        self.received = Recorder()

    async def send(self, *messages: pb.Message, version: int = wire.VERSION) -> None:
        await self.call.write(pb.Batch(version=version, messages=messages))

    async def arrives(self) -> None:
        """What is sent after all that was sent so far arrives."""
        await self.send(wire.encode(HEARTBEAT))
        await until(lambda: HEARTBEAT in self.received.messages, "it arrives")


@pytest.fixture
async def stream(tmp_path: Path) -> AsyncIterator[Stream]:
    peers = Peers.create(tmp_path, size=2)
    two = peers.make(2, None)
    gate = Gate(0xC1, 1, None, peers.members)
    async with grpc.aio.insecure_channel(peers.members[2].addresses[0]) as channel:
        recorder = Recorder()
        await two.start(recorder)
        stream = Stream(PeerStub(channel).Messages(metadata=gate.call_metadata(2)))
        stream.received = recorder
        yield stream
        stream.call.cancel()
        await two.stop()


async def test_who_answers_says_what_it_speaks(stream: Stream) -> None:
    assert dict(await stream.call.initial_metadata())["podling-wire"] == "2"


async def test_a_message_of_an_unknown_kind_is_said_once_and_ends_nothing(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await stream.send(pb.Message(sender=1, to=2, term=3))
    await stream.arrives()

    assert stream.received.messages == [HEARTBEAT]
    assert caplog.text.count("a message of member 1 is passed over") == 1


async def test_an_entry_that_cannot_be_read_is_not_taken(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    nonsense = pb.AppendRequest(entries=b"nonsense")
    await stream.send(pb.Message(sender=1, to=2, term=3, append_request=nonsense))
    await stream.arrives()

    assert stream.received.messages == [HEARTBEAT]
    assert "not a list of entries" in caplog.text


async def test_a_message_in_the_name_of_another_member_is_dropped(stream: Stream) -> None:
    await stream.send(wire.encode(Heartbeat(3, 2, 9, commit=9)))
    await stream.arrives()

    assert stream.received.messages == [HEARTBEAT]


async def test_a_version_that_was_not_agreed_on_ends_the_stream_and_says_why(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    await stream.send(wire.encode(HEARTBEAT), version=77)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        while await stream.call.read() is not grpc.aio.EOF:
            pass

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "messages of version 77, this program knows 2" in str(refused.value.details())
    assert "messages of member 1 are refused" in caplog.text
    assert stream.received.messages == []
