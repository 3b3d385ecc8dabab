"""What a member does without being asked, each of it in a task of its own.

A revocation or an alarm may wait seconds for a quorum; freeing history must not wait with it.

Every member: free compacted history, forget old tokens, look at its size. The leader: revoke
expired leases, raise the cluster's version, have the members compared.
"""

import asyncio
import logging
from collections.abc import Callable

from podling.aiokit.tasks import TaskSet
from podling.controlplane.replica.replica import Replica
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.alarms import StoreAlarms
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.machine import commands
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.proposer import Proposer

log = logging.getLogger(__name__)

SWEEP_SLICE = 500
"""Changes of compacted history, or keys of a replaced store, freed between two turns of the event
loop."""

EXPIRY_BATCH = 200
"""Expired leases revoked at a time: with the default interval somewhat less than 1000 a second, at
which etcd draws the line too (server/lease/lessor.go)."""


class Housekeeping:
    """One member's; started and stopped with its store."""

    def __init__(
        self,
        config: StoreConfig,
        replica: Replica,
        machine: StoreStateMachine,
        proposer: Proposer,
        alarms: StoreAlarms,
        tasks: TaskSet,
    ) -> None:
        self._config = config
        self._replica = replica
        self._machine = machine
        self._proposer = proposer
        self._alarms = alarms
        self._tasks = tasks
        self._leading = False
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self) -> None:
        self._unsubscribe = self._replica.subscribe_leadership(self._leadership_changed)
        self._tasks.spawn(self._free(), name="free")
        self._tasks.spawn(self._weigh(), name="weigh")
        self._tasks.spawn(self._lead(), name="lead")
        if self._config.corrupt_check_interval:
            self._tasks.spawn(self._compare(), name="corrupt-check")

    def stop(self) -> None:
        """The tasks are their owner's to end."""
        self._unsubscribe()

    async def sweep(self) -> None:
        """Free all of what is compacted."""
        while self._machine.store.unswept:
            swept = self._machine.store.sweep(SWEEP_SLICE)
            # A snapshot or hash under way holds everything in place for a while.
            await asyncio.sleep(0 if swept else self._config.housekeeping_interval)

    def _leadership_changed(self, leading: bool, term: int) -> None:
        self._leading = leading
        if leading:
            self._machine.leases.renew_all(self._machine.now())

    async def _free(self) -> None:
        while True:
            await asyncio.sleep(self._config.housekeeping_interval)
            await self.sweep()
            await self._take_apart_replaced()
            self._machine.tokens.expire(self._machine.now())

    async def _take_apart_replaced(self) -> None:
        replaced = self._machine.replaced
        for store in tuple(replaced):
            while store.left:
                if not store.take_apart(SWEEP_SLICE):
                    # A snapshot or hash of it is still under way.
                    break
                await asyncio.sleep(0)
            else:
                replaced.remove(store)

    async def _weigh(self) -> None:
        while True:
            await asyncio.sleep(self._config.housekeeping_interval)
            await self._alarms.weigh()

    async def _lead(self) -> None:
        while True:
            await asyncio.sleep(self._config.housekeeping_interval)
            if self._leading:
                await self._revoke_expired()
                await self._upgrade()

    async def _compare(self) -> None:
        while True:
            await asyncio.sleep(self._config.corrupt_check_interval)
            if self._leading:
                await self._alarms.compare()

    async def _upgrade(self) -> None:
        """Let newer commands be proposed once every member is known to understand them."""
        before = self._machine.cluster_version
        if before == self._machine.command_version:
            return
        version = self._replica.common_command_version()
        if version <= before:
            return
        try:
            root = self._machine.auth.root()
            await self._proposer.propose(rq.ClusterVersionRequest(version), root)
            log.info("the cluster went over from commands of version %d to %d", before, version)
        except errors.StoreError as error:
            log.info("the cluster stays at commands of version %d for now: %s", before, error)

    async def _revoke_expired(self) -> None:
        expired = self._machine.leases.expired(self._machine.now(), EXPIRY_BATCH)
        if expired:
            await asyncio.wait(
                [self._tasks.spawn(self._revoke(each), name="revoke") for each in expired]
            )

    async def _revoke(self, lease_id: int) -> None:
        lease = self._machine.leases.get(lease_id)
        if lease is None or lease.deadline > self._machine.now():
            return
        request: rq.LeaseExpireRequest | rq.LeaseRevokeRequest
        if self._machine.cluster_version > commands.FIRST_VERSION:
            request = rq.LeaseExpireRequest(lease_id, lease.renewals)
        else:
            request = rq.LeaseRevokeRequest(lease_id)
        try:
            root = self._machine.auth.root()
            await self._proposer.propose(request, root)
        except errors.StoreError as error:
            # It comes again while it exists, here or on the next leader.
            log.info("lease %x expired and was not revoked yet: %s", lease_id, error)
