"""What a replica replicates (Raft paper, section 2: replicated state machines)."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol


class StateMachine(Protocol):
    """Deterministic: the same commands in the same order give the same state on every replica.

    It is called from the event loop, never concurrently, and may not await; `load` alone may run
    in another thread.
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

    def load(self, chunks: Iterable[bytes]) -> Any:
        """Build the state of a snapshot; for `take`. Neither reads nor changes the present one.

        That may take seconds, so it may run in another thread while commands are applied. Raises
        ValueError if the chunks are damaged or of a newer format.
        """

    def take(self, state: Any) -> None:
        """Replace the whole state by one that `load` has built.

        Raises ValueError, with the state unchanged, if this member cannot go on with it.
        """
