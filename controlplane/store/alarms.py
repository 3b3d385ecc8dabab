"""Raising, listing and taking back alarms (etcd: server/etcdserver/corrupt.go, v3rpc/quota.go).

The quota is each member's own: whichever finds itself over it raises NOSPACE for the cluster.

Corruption is found by comparing: the leader has its checksum replicated, and every member compares
its own at the same revision. The leader is taken to be right, so it is the other that raises
CORRUPT for itself.
"""

import asyncio
import logging
from collections.abc import Callable

from podling.aiokit.tasks import TaskSet
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.machine import hashing
from podling.controlplane.store.machine.mvcc import Mvcc
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.proposer import Proposer

log = logging.getLogger(__name__)


class StoreAlarms:
    """One member's part in them."""

    def __init__(
        self,
        config: StoreConfig,
        machine: StoreStateMachine,
        proposer: Proposer,
        tasks: TaskSet,
        member_id: Callable[[], int],
    ) -> None:
        """`tasks` runs comparisons; `member_id` is asked once the replica runs."""
        self._quota = config.quota
        self._machine = machine
        self._proposer = proposer
        self._tasks = tasks
        self._member_id = member_id
        self._weighed_revision = 0
        self._comparing = False
        self._raising: set[rq.Alarm] = set()
        """Proposed, and not applied yet."""
        machine.on_hash_check = self._compare_soon

    def raised(self) -> list[rq.Alarm]:
        """As this member knows them, which may lag behind."""
        return self._machine.alarms.listed()

    async def handle(
        self, request: rq.AlarmRequest, *, user: Identity | None = None
    ) -> rq.AlarmResponse:
        """List alarms of a type (whoever asks), raise or take back one (administrators)."""
        if request.action != rq.AlarmAction.GET:
            return await self._proposer.propose(request, user)  # type: ignore[no-any-return]
        await self._proposer.linearize()
        self._machine.auth.check_known(user)
        listed = self._machine.alarms.listed(request.type)
        return rq.AlarmResponse(self._machine.store.revision, listed)

    async def check_space(self) -> None:
        """Raise the alarm, and NoSpace, if this member is over its quota."""
        if self._machine.store.size > self._quota:
            await self._raise(rq.AlarmType.NOSPACE)
            raise errors.NoSpace

    async def weigh(self) -> None:
        """Raise the alarm if this member has come over its quota, whoever asked for the writes."""
        store = self._machine.store
        if store.revision != self._weighed_revision:
            self._weighed_revision = store.revision
            if store.size > self._quota:
                await self._raise(rq.AlarmType.NOSPACE)

    async def compare(self) -> None:
        """Have every member compare its keys with this one's. For the leader."""
        store = self._machine.store
        revision, compact_revision = store.revision, store.compact_revision
        try:
            checksum = await checksum_of(store, revision)
            check = rq.HashCheckRequest(self._member_id(), checksum, compact_revision, revision)
            if store.compact_revision == compact_revision:
                await self._proposer.propose(check, self._machine.auth.root())
        except errors.StoreError as error:
            log.info("members were not compared this time: %s", error)

    def _compare_soon(self, check: rq.HashCheckRequest) -> None:
        if check.member_id != self._member_id() and not self._comparing:
            self._comparing = True
            self._tasks.spawn(self._compare_with(check), name="compare")

    async def _compare_with(self, check: rq.HashCheckRequest) -> None:
        try:
            # Compacted meanwhile, or restored from a later snapshot: the next check will do.
            if self._machine.store.compact_revision != check.compact_revision:
                return
            try:
                checksum = await checksum_of(self._machine.store, check.hash_revision)
            except errors.FutureRevision:
                # All that the other has at that revision was applied here, and came to less.
                checksum = -1
            if checksum != check.hash:
                log.error(
                    "this member and member %x differ at revision %d", check.member_id,
                    check.hash_revision,
                )  # fmt: skip
                await self._raise(rq.AlarmType.CORRUPT)
        except errors.StoreError as error:
            log.warning("could not compare with member %x: %s", check.member_id, error)
        finally:
            self._comparing = False

    async def _raise(self, kind: rq.AlarmType) -> None:
        alarm = rq.Alarm(self._member_id(), kind)
        if alarm in self._machine.alarms or alarm in self._raising:
            return
        self._raising.add(alarm)
        log.error("raising the alarm %s for member %x", kind.name, alarm.member_id)
        request = rq.AlarmRequest(rq.AlarmAction.ACTIVATE, *alarm)
        try:
            await self._proposer.propose(request, self._machine.auth.root())
        except errors.StoreError as error:
            log.warning("the alarm %s was not raised: %s", kind.name, error)
        finally:
            self._raising.discard(alarm)


async def checksum_of(store: Mvcc, revision: int) -> int:
    """The checksum of the keys as of `revision`, letting others run meanwhile.

    Raises Compacted and FutureRevision.
    """
    slices = hashing.hash_kv(store, revision)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return int(end.value)
        await asyncio.sleep(0)
