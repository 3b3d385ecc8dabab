"""A network between replicas in memory: no sockets; slowed, cut and troubled at will.

As it comes it is a good one: messages from one member to another keep their order and are not
repeated, as on a stream, and a cut loses what is under way. `Trouble` makes it worse than the
interface of transports allows: batches are lost without a word, come twice, or are overtaken. Raft
must live with that (paper, section 2), and is simulated with it: what a stream that breaks and is
opened again does to messages is some of the same, and this is simpler to think about.

Members may be on one event loop or each on its own (`podling.simulate.event_loop`): whatever
happens at a member happens on its loop.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVarTuple

from podling.aiokit.tasks import TaskSet
from podling.controlplane.raft.messages import InstallSnapshot, Message, ProposeRequest
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers import wire
from podling.controlplane.replica.transport import Receiver, SnapshotFile, SnapshotRefused
from podling.simulate.snapshot_stream import SnapshotStream

Ts = TypeVarTuple("Ts")

_STEP = 1e-6
"""Seconds between arrivals on one way: the loop gives no order to timers of the same time."""

#: A way between members: (sender, receiver).
Way = tuple[int, int]


@dataclass(slots=True)
class Delay:
    """How long something takes, in seconds: drawn evenly between the two."""

    least: float = 0.0
    most: float = 0.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What befalls batches of messages: the share of them, from 0 to 1."""

    lost: float = 0.0
    doubled: float = 0.0
    """But for commands that are passed on to the leader, which would count twice: of all messages
    only these rely on it that none is repeated."""
    late: float = 0.0
    """Those that take up to ten times as long, and are overtaken by later ones."""


NO_TROUBLE = Trouble()


class MemoryNetwork:
    """Connects the `Transport`s that it hands out."""

    def __init__(self, dice: random.Random, delay: Delay | None = None) -> None:
        self._dice = dice
        self.delay = delay or Delay()
        self.delays: dict[Way, Delay] = {}
        """Of single ways, instead of `delay`."""
        self.trouble = NO_TROUBLE
        self._members: dict[int, MemoryTransport] = {}
        self._cut: set[Way] = set()
        self._streams: dict[SnapshotStream, Way] = {}

    def transport(self, member_id: int) -> "MemoryTransport":
        """A new transport for one member, joined by its `start`."""
        return MemoryTransport(self, member_id)

    def cut(self, sender: int, receiver: int) -> None:
        """Nothing gets from `sender` to `receiver` any more; the way back stays."""
        self._cut.add((sender, receiver))
        self._break_streams({(sender, receiver), (receiver, sender)})
        if sender in self._members:
            _at(self._members[sender], self._members[sender].lost, receiver)

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
                _at(self._members[sender], self._members[sender].reached, receiver)
        self.tell_removed()

    def is_open(self, sender: int, receiver: int) -> bool:
        return receiver in self._members and (sender, receiver) not in self._cut

    def admits(self, sender: int, receiver: int) -> bool:
        """Whether the way is open, and both ends hold each other for members."""
        if not self.is_open(sender, receiver) or sender not in self._members:
            return False
        return self._members[sender].reaches(receiver) and self._members[receiver].admits(
            self._members[sender]
        )

    def peers_of(self, member_id: int) -> frozenset[int]:
        """Those to and from which the ways are open."""
        return frozenset(
            other
            for other in self._members
            if other != member_id and self.admits(member_id, other)
            if self.admits(other, member_id)
        )

    def changed(self, before: Mapping[int, frozenset[int]]) -> None:
        """The members that somebody knows are others now; `before`: who was connected to whom."""
        for member, peers in before.items():
            transport = self._members[member]
            for peer in sorted(peers - self.peers_of(member)):
                _at(transport, transport.lost, peer)
            for peer in sorted(self.peers_of(member) - peers):
                _at(transport, transport.reached, peer)
        self.tell_removed()

    def all_peers(self) -> Mapping[int, frozenset[int]]:
        return {member: self.peers_of(member) for member in self._members}

    def tell_removed(self) -> None:
        """Whoever would call a member that knows it to be removed is told so."""
        for sender, receiver in itertools.permutations(list(self._members.values()), 2):
            if not self.is_open(sender.member_id, receiver.member_id):
                continue
            if sender.reaches(receiver.member_id) and receiver.has_removed(sender.member_id):
                _at(sender, sender.told_removed, receiver.member_id)

    def version(self, member_id: int) -> int:
        """Of the list of members that a member knows; 0 if it is not there."""
        return self._members[member_id].version if member_id in self._members else 0

    def command_version(self, member_id: int) -> int:
        """What a member that has joined tells its peers."""
        return self._members[member_id].command_version

    def join(self, transport: "MemoryTransport") -> None:
        me = transport.member_id
        self._members[me] = transport
        for other in sorted(self.peers_of(me)):
            _at(transport, transport.reached, other)
            _at(self._members[other], self._members[other].reached, me)
        self.tell_removed()

    def leave(self, transport: "MemoryTransport", *, unnoticed: bool = False) -> None:
        """The member is gone; `unnoticed` if nothing is left that could tell its peers."""
        me = transport.member_id
        if self._members.get(me) is not transport:
            return
        del self._members[me]
        self._break_streams({way for way in self._streams.values() if me in way})
        for other in self._members.values():
            if not unnoticed:
                _at(other, other.lost, me)

    def deliver(self, messages: Sequence[Message]) -> None:
        """Send messages that have the same sender and receiver."""
        way = (messages[0].sender, messages[0].to)
        if not self.admits(*way) or self._befalls(self.trouble.lost):
            return
        self._send(way, messages)
        if self._befalls(self.trouble.doubled):
            again = [each for each in messages if not isinstance(each, ProposeRequest)]
            if again:
                self._send(way, again)

    async def offer(self, message: InstallSnapshot, file: SnapshotFile) -> None:
        """Stream a snapshot; raises SnapshotRefused, also when there is no way."""
        size = await file.size()
        way = (message.sender, message.to)
        if not self.admits(*way):
            raise SnapshotRefused("there is no way to the member")
        receiver = self._members[message.to]
        stream = SnapshotStream(message, size, receiver.loop)
        self._streams[stream] = way
        try:
            _at(receiver, receiver.offered, stream)
            async for chunk in file.read(await stream.begin()):
                await asyncio.sleep(self._draw(way))
                stream.put(chunk)
            await stream.end()
        finally:
            del self._streams[stream]

    def _send(self, way: Way, messages: Sequence[Message]) -> None:
        receiver = self._members[way[1]]
        delay = self._draw(way)
        if self._befalls(self.trouble.late):
            at = receiver.loop.time() + delay * self._dice.uniform(1, 10)
        else:
            at = max(receiver.loop.time() + delay, receiver.arrivals.get(way[0], 0.0) + _STEP)
            receiver.arrivals[way[0]] = at
        receiver.loop.call_at(at, self._arrive, receiver, messages)

    def _arrive(self, receiver: "MemoryTransport", messages: Sequence[Message]) -> None:
        sender, to = messages[0].sender, messages[0].to
        if self.admits(sender, to) and self._members[to] is receiver:
            receiver.arrived(messages)

    def _draw(self, way: Way) -> float:
        delay = self.delays.get(way, self.delay)
        return self._dice.uniform(delay.least, delay.most)

    def _befalls(self, share: float) -> bool:
        return share > 0 and self._dice.random() < share

    def _break_streams(self, ways: set[Way]) -> None:
        for stream, way in list(self._streams.items()):
            if way in ways:
                stream.break_off()


class MemoryTransport:
    """A `Transport` on a `MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork, member_id: int) -> None:
        self._network = network
        self.member_id = member_id
        self.command_version = 0
        self.loop: asyncio.AbstractEventLoop
        """On which it was started."""
        self.arrivals: dict[int, float] = {}
        """When the last message of each sender arrives; no later one may come before."""
        self._receiver: Receiver | None = None
        self._tasks = TaskSet(f"memory-transport-{member_id:x}")
        self._known: Mapping[int, Member] | None = None
        """None, before it is told: everybody."""
        self._removed: frozenset[int] = frozenset()
        self._version = 0

    def set_members(
        self, members: Mapping[int, Member], removed: frozenset[int], version: int
    ) -> None:
        if (members, removed, version) == (self._known, self._removed, self._version):
            return
        before = self._network.all_peers()
        self._known, self._removed, self._version = members, removed, version
        self._network.changed(before)

    def reaches(self, peer: int) -> bool:
        """Whether this member would call `peer`."""
        return self._knows(peer) or self._network.version(peer) > self._version

    def admits(self, caller: "MemoryTransport") -> bool:
        """Whether this member listens to `caller`, who may know more than it does."""
        peer = caller.member_id
        newer = caller.version > self._version and peer not in self._removed
        return newer or self._knows(peer)

    def _knows(self, peer: int) -> bool:
        return self._known is None or peer in self._known

    def has_removed(self, peer: int) -> bool:
        return peer in self._removed

    @property
    def version(self) -> int:
        """Of the list of members that this one knows."""
        return self._version

    async def start(self, receiver: Receiver) -> None:
        self.loop = asyncio.get_running_loop()
        self.arrivals.clear()
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

    def send_snapshot(self, message: InstallSnapshot, file: SnapshotFile) -> None:
        self._tasks.spawn(self._offer(message, file), name="snapshot")

    def connected_peers(self) -> frozenset[int]:
        return self._network.peers_of(self.member_id)

    def command_versions(self) -> Mapping[int, int]:
        return {peer: self._network.command_version(peer) for peer in self.connected_peers()}

    def wire_versions(self) -> Mapping[int, int]:
        return dict.fromkeys(self.connected_peers(), wire.VERSION)

    async def _offer(self, message: InstallSnapshot, file: SnapshotFile) -> None:
        try:
            await self._network.offer(message, file)
            ok = True
        except SnapshotRefused:
            ok = False
        if self._receiver is not None:
            self._receiver.snapshot_sent(message.to, ok)

    def offered(self, stream: SnapshotStream) -> None:
        """A peer streams a snapshot to this member."""
        if self._receiver is None:
            stream.refuse("the member is stopping")
        else:
            stream.received_by(self._tasks.spawn(stream.receive(self._receiver), name="receive"))

    def arrived(self, messages: Sequence[Message]) -> None:
        if self._receiver is not None:
            self._receiver.received(messages)

    def reached(self, peer: int) -> None:
        """The way to `peer` is open."""
        if self._receiver is not None and peer in self.connected_peers():
            self._receiver.connected(peer)

    def told_removed(self, peer: int) -> None:
        """`peer` knows that this member was removed."""
        if self._receiver is not None:
            self._receiver.removed(peer)

    def lost(self, peer: int) -> None:
        """The way to `peer` is gone."""
        if self._receiver is not None:
            self._receiver.unreachable(peer)


def _at(member: MemoryTransport, call: Callable[[*Ts], None], *args: *Ts) -> None:
    """Call something at a member: now if its loop runs, or else when it is its turn."""
    if member.loop is asyncio._get_running_loop():
        call(*args)
    else:
        member.loop.call_soon(call, *args)
