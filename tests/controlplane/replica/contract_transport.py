"""What every transport keeps; run on the one in memory and on the one over gRPC."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from podling.controlplane.raft.messages import (
    AppendRequest,
    Entry,
    EntryKind,
    InstallSnapshot,
    Message,
    SnapshotMeta,
)
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.replica.members.membership import Membership
from podling.controlplane.replica.transport import SnapshotRefused, Transport
from tests.waiting import until


@dataclass
class Recorder:
    """Remembers what a transport reports; implements `transport.Receiver`."""

    messages: list[Message] = field(default_factory=list)
    reached: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    sent: list[tuple[int, bool]] = field(default_factory=list)
    snapshots: list[tuple[InstallSnapshot, bytes]] = field(default_factory=list)
    refuse: str = ""
    kept: int = 0
    parts: list[tuple[int, int]] = field(default_factory=list)
    """(offset, size) of each snapshot."""
    command_version: int = 1
    removed_by: list[int] = field(default_factory=list)
    membership: Membership = field(default_factory=Membership)

    def received(self, messages: Sequence[Message]) -> None:
        self.messages += messages

    def connected(self, peer: int) -> None:
        self.reached.append(peer)

    def unreachable(self, peer: int) -> None:
        self.lost.append(peer)

    def removed(self, peer: int) -> None:
        self.removed_by.append(peer)

    async def snapshot_kept(self, message: InstallSnapshot, size: int) -> int:
        if self.refuse:
            raise SnapshotRefused(self.refuse)
        return self.kept

    async def snapshot_offered(
        self, message: InstallSnapshot, offset: int, size: int, chunks: AsyncIterator[bytes]
    ) -> None:
        self.snapshots.append((message, b"".join([chunk async for chunk in chunks])))
        self.parts.append((offset, size))

    def snapshot_sent(self, peer: int, ok: bool) -> None:
        self.sent.append((peer, ok))


def append(number: int, size: int = 10) -> AppendRequest:
    entry = Entry(number, 1, EntryKind.COMMAND, bytes(size))
    return AppendRequest(1, 2, 1, number - 1, 1, (entry,), 0)


class TransportContract:
    """Give `one` and `two` fixtures: transports of members 1 and 2, not started."""

    async def started(self, one: Transport, two: Transport) -> tuple[Recorder, Recorder]:
        recorders = Recorder(), Recorder()
        await one.start(recorders[0])
        await two.start(recorders[1])
        await until(
            lambda: one.connected_peers() == {2} and two.connected_peers() == {1}, "both connected"
        )
        return recorders

    async def test_both_are_told_that_they_are_connected(
        self, one: Transport, two: Transport
    ) -> None:
        first, second = await self.started(one, two)

        assert (first.reached, second.reached) == ([2], [1])

    async def test_messages_arrive_in_order(self, one: Transport, two: Transport) -> None:
        _, second = await self.started(one, two)
        sent = [append(number) for number in range(1, 301)]
        for start in range(0, 300, 7):
            one.send(sent[start : start + 7])
            if start % 2:
                await asyncio.sleep(0)
        await until(lambda: len(second.messages) == 300, "all have arrived")

        assert second.messages == sent

    async def test_large_messages_arrive(self, one: Transport, two: Transport) -> None:
        _, second = await self.started(one, two)
        sent = [append(number, size=3_000_000) for number in range(1, 5)]
        one.send(sent)
        await until(lambda: len(second.messages) == 4, "all have arrived")

        assert second.messages == sent

    async def test_a_peer_that_goes_is_reported_and_comes_back(
        self, one: Transport, two: Transport
    ) -> None:
        first, _ = await self.started(one, two)
        await two.stop()
        await until(lambda: 2 in first.lost, "the loss is reported")
        assert one.connected_peers() == frozenset()
        again = Recorder()
        await two.start(again)
        await until(lambda: one.connected_peers() == {2}, "connected again")
        one.send([append(1)])
        await until(lambda: again.messages == [append(1)], "messages arrive again")

    async def test_peers_are_told_what_a_member_understands(
        self, one: Transport, two: Transport
    ) -> None:
        await one.start(Recorder(command_version=3))
        await two.start(Recorder(command_version=17))
        await until(lambda: one.connected_peers() == {2}, "connected")
        await until(lambda: two.connected_peers() == {1}, "connected back")

        assert (one.command_versions(), two.command_versions()) == ({2: 17}, {1: 3})

    async def test_sending_to_nobody_does_no_harm(self, one: Transport) -> None:
        await one.start(Recorder())
        one.send([append(1)])

    async def test_a_snapshot_is_streamed(self, one: Transport, two: Transport) -> None:
        first, second = await self.started(one, two)
        message = InstallSnapshot(1, 2, 1, SnapshotMeta(9, 1, Configuration(frozenset({1, 2}))))
        pieces = [bytes([number]) * 100_000 for number in range(20)]
        one.send_snapshot(message, Pieces(pieces))
        await until(lambda: bool(first.sent), "the end is reported")

        assert first.sent == [(2, True)]
        assert second.snapshots == [(message, b"".join(pieces))]
        assert second.parts == [(0, 2_000_000)]

    async def test_what_the_receiver_has_of_a_snapshot_is_not_sent(
        self, one: Transport, two: Transport
    ) -> None:
        first, second = await self.started(one, two)
        second.kept = 250_000
        message = InstallSnapshot(1, 2, 1, SnapshotMeta(9, 1))
        one.send_snapshot(message, Pieces([b"a" * 100_000, b"b" * 100_000, b"c" * 100_000]))
        await until(lambda: bool(first.sent), "the end is reported")

        assert first.sent == [(2, True)]
        assert second.snapshots == [(message, b"c" * 50_000)]
        assert second.parts == [(250_000, 300_000)]

    async def test_a_refused_snapshot_is_reported(self, one: Transport, two: Transport) -> None:
        first, second = await self.started(one, two)
        second.refuse = "not now"
        message = InstallSnapshot(1, 2, 1, SnapshotMeta(9, 1))
        one.send_snapshot(message, Pieces([b"x" * 100_000] * 50))
        await until(lambda: bool(first.sent), "the end is reported")

        assert first.sent == [(2, False)]


class Pieces:
    """A snapshot file of these; implements `transport.SnapshotFile`."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._data = b"".join(pieces)

    async def size(self) -> int:
        return len(self._data)

    async def read(self, offset: int) -> AsyncIterator[bytes]:
        for start in range(offset, len(self._data), 100_000):
            yield self._data[start : start + 100_000]
