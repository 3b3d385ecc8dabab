"""How replicas reach each other, as far as the driver cares."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from podling.controlplane.raft.messages import InstallSnapshot, Message
from podling.controlplane.replica.members.membership import Member, Membership


class TransportError(Exception):
    """The transport cannot start, such as when its address is taken."""


class NoAnswer(Exception):
    """A peer could not be asked, or cannot say; the text says why."""


#: Answers what a peer's state machine asks (`GrpcTransport.ask`). Raises NoAnswer.
Answering = Callable[[bytes], Awaitable[bytes]]


class Receiver(Protocol):
    """The replica's side: what a transport reports. All are called from the event loop."""

    @property
    def command_version(self) -> int:
        """What peers are told when a way to them is opened (see `StateMachine`)."""

    @property
    def membership(self) -> Membership:
        """What a member that is to join is told."""

    def received(self, messages: Sequence[Message]) -> None:
        """Messages from one peer, in the order in which it sent them."""

    def connected(self, peer: int) -> None:
        """The ways to `peer` and back are open."""

    def unreachable(self, peer: int) -> None:
        """Messages to `peer` were lost, or the way to it broke."""

    def removed(self, peer: int) -> None:
        """`peer` says that this member was removed from the cluster."""

    async def snapshot_kept(self, message: InstallSnapshot, size: int) -> int:
        """How much of this file of `size` bytes need not be sent.

        That is what came of a stream that broke. Whoever may still be sending the file is not
        listened to any more. Raises SnapshotRefused if it will not be taken.
        """

    async def snapshot_offered(
        self, message: InstallSnapshot, offset: int, size: int, chunks: AsyncIterator[bytes]
    ) -> None:
        """A peer streams a snapshot file from `offset` on; return when all of it is safe on disk.

        Its `size` is 0 if the peer has not said it. Raises SnapshotRefused if it is not taken, or
        the stream ends too early.
        """

    def snapshot_sent(self, peer: int, ok: bool) -> None:
        """A snapshot has been streamed to `peer`, or that failed."""


class SnapshotRefused(Exception):
    """An offered snapshot is not taken; the text says why."""


class SnapshotFile(Protocol):
    """A snapshot file as its sender has it. Both may raise OSError."""

    async def size(self) -> int:
        """Of the whole file, in bytes."""

    def read(self, offset: int) -> AsyncIterator[bytes]:
        """Its bytes from `offset` on."""


class Transport(Protocol):
    """Carries messages between members of one cluster.

    Messages from one member to another keep their order and are not repeated. They may be lost.
    """

    def set_members(
        self, members: Mapping[int, Member], removed: frozenset[int], version: int
    ) -> None:
        """Reach these members from now on, and no others; before `start`, and whenever they change.

        Who calls and was `removed` is told so. Whoever else calls and is not among the members is
        refused, unless it knows a newer list (`version`, see `Membership`) in which it may be: a
        member that was away for long knows nobody of those who came meanwhile.
        """

    async def start(self, receiver: Receiver) -> None:
        """Listen, and begin to connect to every peer. Raises TransportError."""

    async def stop(self) -> None:
        """Close every connection; nothing is reported any more."""

    def send(self, messages: Sequence[Message]) -> None:
        """Send each message to its `to`. Never waits: what cannot be queued is dropped."""

    def send_snapshot(self, message: InstallSnapshot, file: SnapshotFile) -> None:
        """Stream a snapshot file to `message.to`, ending in `Receiver.snapshot_sent`.

        What the receiver has kept of an earlier stream is not sent again.
        """

    def connected_peers(self) -> frozenset[int]:
        """Peers to and from which the ways are open now."""

    def command_versions(self) -> Mapping[int, int]:
        """What each of the connected peers has told as its `command_version`."""

    def wire_versions(self) -> Mapping[int, int]:
        """Which version of messages is spoken with each of the connected peers (`wire`)."""
