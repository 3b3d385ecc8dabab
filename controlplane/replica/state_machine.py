"""What a replica replicates (Raft paper, section 2: replicated state machines)."""

from collections.abc import Iterable, Iterator
from typing import Protocol


class StateMachine(Protocol):
    """Deterministic: the same commands in the same order give the same state on every replica.

    It is called from the event loop, never concurrently, and may not await.
    """

    @property
    def command_version(self) -> int:
        """The newest version of commands that this one understands, from 1 on; never changes.

        Peers are told, so that nothing is proposed that a member would have to stop at.
        """

    def apply(self, index: int, term: int, command: bytes) -> object:
        """Carry out the committed `command` of the log entry (`index`, `term`).

        The result goes to whoever proposed it, on the replica where it was proposed. What the
        command itself does wrong (an unknown lease, say) is a result too; raising means that this
        replica cannot go on, and ends it.
        """

    def snapshot(self) -> Iterator[bytes]:
        """The whole state as of now, in chunks.

        Drawn from lazily while later commands are applied, which must not change what it yields.
        """

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Replace the whole state by that of a snapshot.

        Raises ValueError, with the state unchanged, if the chunks are damaged or of a newer format.
        """
