"""The way from a request to the replicated log and back, and to a read that misses nothing."""

import asyncio
from typing import Any

from podling.controlplane.replica import errors as replica_errors
from podling.controlplane.replica.replica import Replica
from podling.controlplane.store import errors
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.machine import commands
from podling.controlplane.store.machine.later_commands import OnBehalf
from podling.controlplane.store.machine.state_machine import StoreStateMachine

MAX_UNAPPLIED = 5000
"""Committed entries that may wait to be applied before no more is proposed, as in etcd."""

CAPABLE_TIMEOUT = 1.0
"""Seconds that a command waits for all members to understand it."""

MAX_READS = 10_000
"""Linearizable reads that may wait for the leader's word."""

_ERRORS: dict[type[replica_errors.ReplicaError], type[errors.StoreError]] = {
    replica_errors.NoLeader: errors.NoLeader,
    replica_errors.TooManyProposals: errors.TooManyRequests,
    replica_errors.ProposalTooLarge: errors.RequestTooLarge,
    replica_errors.ProposalTimeout: errors.Timeout,
    replica_errors.ReplicaStopped: errors.Stopped,
    replica_errors.NotForLearners: errors.NotForLearners,
}


def refusal_of(error: replica_errors.ReplicaError) -> errors.StoreError:
    """What clients are told of an error of the replica."""
    return _ERRORS.get(type(error), errors.Timeout)()


class Proposer:
    """Proposes commands and waits for reads on behalf of all of one store."""

    def __init__(self, config: StoreConfig, replica: Replica, machine: StoreStateMachine) -> None:
        self._config = config
        self._replica = replica
        self._machine = machine
        self._reads = 0

    async def propose(self, request: commands.Command, user: Identity | None = None) -> Any:
        """Replicate `request`; return the response, or raise what it came to.

        Raises RequestTooLarge, NotCapable, TooManyRequests, NoLeader, Stopped (nothing was
        proposed), Timeout (unknown), or what the state machine refuses it with.
        """
        command = commands.encode(request)
        if len(command) > self._config.max_request_bytes:
            raise errors.RequestTooLarge
        if user is not None:
            # Who asks is not the client's to make shorter, and does not count.
            command = commands.encode(OnBehalf(user, request))
        if commands.version_of(command) > self._machine.cluster_version:
            await self._capable(commands.version_of(command))
        try:
            if self._replica.unapplied > MAX_UNAPPLIED:
                raise errors.TooManyRequests
            result = await self._replica.propose(command, timeout=self._config.request_timeout)
        except replica_errors.ReplicaError as error:
            raise refusal_of(error) from error
        if isinstance(result, errors.StoreError):
            raise result
        return result

    async def _capable(self, version: int) -> None:
        """Wait for a cluster that has only just begun, and will go over to `version` in a moment.

        Raises NotCapable if a member is known not to understand it, or has not come in time.
        """
        now = asyncio.get_running_loop().time
        deadline = now() + CAPABLE_TIMEOUT
        while self._machine.cluster_version < version:
            if now() >= deadline or 0 < self._replica.common_command_version() < version:
                raise errors.NotCapable
            await asyncio.sleep(CAPABLE_TIMEOUT / 100)

    async def linearize(self) -> None:
        """Wait until this member knows everything that was committed when this was called.

        Raises NoLeader, Stopped, and TooManyRequests.
        """
        if self._reads >= MAX_READS:
            raise errors.TooManyRequests
        self._reads += 1
        try:
            await self._replica.read_index(timeout=self._config.request_timeout)
        except replica_errors.ReplicaError as error:
            raise refusal_of(error) from error
        finally:
            self._reads -= 1

    @property
    def applied_index(self) -> int:
        """The last entry of the log that this member has applied. Raises Stopped."""
        try:
            return self._replica.applied_index
        except replica_errors.ReplicaError as error:
            raise refusal_of(error) from error
