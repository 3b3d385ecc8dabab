"""A replica: one member of a group that agrees on a sequence of commands."""

import random
from collections.abc import Callable

from podling.aiokit.tasks import OnDeath
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.state_machine import StateMachine
from podling.controlplane.replica.status import ReplicaStatus
from podling.controlplane.replica.transport import Transport
from podling.controlplane.wal.disk import Disk

#: Told whether this replica leads, and the term in which it does or no longer does.
OnLeadership = Callable[[bool, int], None]


class Replica:
    """Replicates commands to its peers and applies what is committed to a state machine.

    `fatal` is told of what ends this replica: a disk that fails, a state machine that raises. From
    then on it writes, sends and applies nothing more, and the process should end.
    """

    def __init__(
        self,
        config: ReplicaConfig,
        state_machine: StateMachine,
        *,
        disk: Disk,
        transport: Transport,
        dice: random.Random,
        fatal: OnDeath,
    ) -> None:
        self._config = config

    @property
    def name(self) -> str:
        return self._config.name

    async def start(self) -> None:
        """Read back what is on disk, restore the state machine, join the peers.

        Returns when this replica takes part; a leader may not be known yet (`leader_known`).
        Raises DataDirectoryError if the directory is in use, damaged, or another member's.
        """
        raise NotImplementedError

    async def stop(self) -> None:
        """Hand leadership over if this replica has it, then give everything back."""
        raise NotImplementedError

    async def propose(self, command: bytes, *, timeout: float = 5.0) -> object:
        """Replicate `command`; return what applying it returned on this replica.

        May be called on any replica; it waits up to `timeout` seconds, for a leader too. What is
        certain not to have been written (the leader changed meanwhile) is proposed again within
        that time. Raises NoLeader, TooManyProposals, ProposalTooLarge or ReplicaStopped (nothing
        was written), or ProposalTimeout (unknown).
        """
        raise NotImplementedError

    async def read_index(self, *, timeout: float = 5.0) -> int:
        """Wait until this replica has applied all that was committed when this was called.

        Reading the state machine right after is linearizable (Raft thesis, section 6.4). Returns
        the index. Raises NoLeader if no leader could confirm itself within `timeout` seconds.
        """
        raise NotImplementedError

    def status(self) -> ReplicaStatus:
        raise NotImplementedError

    async def transfer_leadership(self, to: int | None = None, *, timeout: float = 5.0) -> int:
        """Make another member the leader; `None` picks the one that is furthest.

        Returns the new leader's id. May be called on any replica. Raises NoLeader if it did not
        happen within `timeout` seconds, ValueError if `to` is not a member.
        """
        raise NotImplementedError

    def subscribe_leadership(self, callback: OnLeadership) -> Callable[[], None]:
        """Call back whenever this replica begins or ceases to lead; returns the way to end that.

        It begins to lead when the first entry of its term is applied here, so that a new leader
        has applied everything that was acknowledged before. Called from the event loop; must not
        raise.
        """
        raise NotImplementedError

    async def leader_known(self, timeout: float = 5.0) -> int:
        """Wait until a leader is known and return its id; raises NoLeader after `timeout` s."""
        raise NotImplementedError
