"""A network between replicas in memory: no sockets, cut and slowed down at will.

Messages from one member to another keep their order, as on a stream; a cut loses what is under way.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft.messages import InstallSnapshot, Message
from podling.controlplane.replica.transport import Receiver, SnapshotRefused

_STEP = 1e-6
"""Seconds between arrivals on one way: the loop gives no order to timers of the same time."""


@dataclass(slots=True)
class Delay:
    """How long a message takes, in seconds: drawn evenly between the two."""

    least: float = 0.0
    most: float = 0.0


class MemoryNetwork:
    """Connects the `Transport`s that it hands out."""

    def __init__(self, dice: random.Random, delay: Delay | None = None) -> None:
        self._dice = dice
        self.delay = delay or Delay()
        self._members: dict[int, MemoryTransport] = {}
        self._cut: set[tuple[int, int]] = set()
        self._arrivals: dict[tuple[int, int], float] = {}
        """When the last message of a way arrives; no later one may come before."""

    def transport(self, member_id: int) -> "MemoryTransport":
        """A new transport for one member, joined by its `start`."""
        return MemoryTransport(self, member_id)

    def cut(self, sender: int, receiver: int) -> None:
        """Nothing gets from `sender` to `receiver` any more; the way back stays."""
        self._cut.add((sender, receiver))
        if sender in self._members:
            self._members[sender].lost(receiver)

    def isolate(self, member_id: int) -> None:
        """Cut every way to and from a member."""
        for other in list(self._members):
            if other != member_id:
                self.cut(member_id, other)
                self.cut(other, member_id)

    def heal(self) -> None:
        """Open every way again."""
        cut, self._cut = self._cut, set()
        for sender, receiver in sorted(cut):
            if self.is_open(sender, receiver) and sender in self._members:
                self._members[sender].reached(receiver)

    def is_open(self, sender: int, receiver: int) -> bool:
        return receiver in self._members and (sender, receiver) not in self._cut

    def peers_of(self, member_id: int) -> frozenset[int]:
        """Those to and from which the ways are open."""
        return frozenset(
            other
            for other in self._members
            if other != member_id and self.is_open(member_id, other)
            if self.is_open(other, member_id)
        )

    def command_version(self, member_id: int) -> int:
        """What a member that has joined tells its peers."""
        return self._members[member_id].command_version

    def join(self, transport: "MemoryTransport") -> None:
        me = transport.member_id
        self._members[me] = transport
        for other in sorted(self.peers_of(me)):
            transport.reached(other)
            self._members[other].reached(me)

    def leave(self, transport: "MemoryTransport") -> None:
        self._members.pop(transport.member_id, None)
        for other in self._members.values():
            other.lost(transport.member_id)

    def deliver(self, messages: Sequence[Message]) -> None:
        """Send messages that have the same sender and receiver."""
        way = (messages[0].sender, messages[0].to)
        if not self.is_open(*way):
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + self._dice.uniform(self.delay.least, self.delay.most)
        at = max(at, self._arrivals.get(way, 0.0) + _STEP)
        self._arrivals[way] = at
        loop.call_at(at, self._arrive, messages)

    def _arrive(self, messages: Sequence[Message]) -> None:
        sender, to = messages[0].sender, messages[0].to
        if self.is_open(sender, to):
            self._members[to].arrived(messages)

    async def offer(self, message: InstallSnapshot, chunks: AsyncIterator[bytes]) -> None:
        """Stream a snapshot; raises SnapshotRefused, also when there is no way."""
        if not self.is_open(message.sender, message.to):
            raise SnapshotRefused("there is no way to the member")
        await self._members[message.to].offered(message, chunks)


class MemoryTransport:
    """A `Transport` on a `MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork, member_id: int) -> None:
        self._network = network
        self.member_id = member_id
        self.command_version = 0
        self._receiver: Receiver | None = None
        self._tasks = TaskSet(f"memory-transport-{member_id:x}")

    async def start(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.command_version = receiver.command_version
        self._network.join(self)

    async def stop(self) -> None:
        self._receiver = None
        self._network.leave(self)
        await self._tasks.close()

    def send(self, messages: Sequence[Message]) -> None:
        by_receiver: dict[int, list[Message]] = {}
        for message in messages:
            by_receiver.setdefault(message.to, []).append(message)
        for batch in by_receiver.values():
            self._network.deliver(batch)

    def send_snapshot(self, message: InstallSnapshot, chunks: AsyncIterator[bytes]) -> None:
        self._tasks.spawn(self._offer(message, chunks), name="snapshot")

    def connected_peers(self) -> frozenset[int]:
        return self._network.peers_of(self.member_id)

    def command_versions(self) -> Mapping[int, int]:
        return {peer: self._network.command_version(peer) for peer in self.connected_peers()}

    async def _offer(self, message: InstallSnapshot, chunks: AsyncIterator[bytes]) -> None:
        try:
            await self._network.offer(message, chunks)
            ok = True
        except SnapshotRefused:
            ok = False
        if self._receiver is not None:
            self._receiver.snapshot_sent(message.to, ok)

    async def offered(self, message: InstallSnapshot, chunks: AsyncIterator[bytes]) -> None:
        """A peer streams a snapshot to this member."""
        if self._receiver is None:
            raise SnapshotRefused("the member is stopping")
        await self._receiver.snapshot_offered(message, chunks)

    def arrived(self, messages: Sequence[Message]) -> None:
        if self._receiver is not None:
            self._receiver.received(messages)

    def reached(self, peer: int) -> None:
        """The way to `peer` is open."""
        if self._receiver is not None and peer in self.connected_peers():
            self._receiver.connected(peer)

    def lost(self, peer: int) -> None:
        """The way to `peer` is gone."""
        if self._receiver is not None:
            self._receiver.unreachable(peer)
