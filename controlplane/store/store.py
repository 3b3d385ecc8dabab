"""The store as the rest of the program uses it: decoded request in, response out.

Free of the gRPC library; the gRPC face and the API server in the same process call the same
methods. Reads are linearizable unless they ask not to be: the replica confirms that it has applied
everything that was committed when the read came in (Raft thesis, section 6.4). Writes are proposed
to the replicas and answered when this one has applied them. A write that ends in Timeout may have
happened or happen later, and is never repeated here.

Every method raises the StoreErrors that `errors` describes; etcd's texts and semantics throughout.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from podling.aiokit.tasks import OnDeath, TaskSet
from podling.controlplane.replica import errors as replica_errors
from podling.controlplane.replica.replica import Replica
from podling.controlplane.replica.status import ReplicaStatus
from podling.controlplane.store import errors, request_checks
from podling.controlplane.store import requests as rq
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.machine import commands, hashing, ranges, transactions
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.watch_streams import WatchStream

log = logging.getLogger(__name__)

RANGE_SLICE = 5000
"""Keys read between two turns of the event loop."""

SWEEP_SLICE = 1000
"""Changes of compacted history freed between two turns of the event loop."""

EXPIRY_BATCH = 100
"""Expired leases revoked at a time."""

_ERRORS: dict[type[replica_errors.ReplicaError], type[errors.StoreError]] = {
    replica_errors.NoLeader: errors.NoLeader,
    replica_errors.TooManyProposals: errors.TooManyRequests,
    replica_errors.ProposalTooLarge: errors.RequestTooLarge,
    replica_errors.ProposalTimeout: errors.Timeout,
    replica_errors.ReplicaStopped: errors.Stopped,
}


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How this member is."""

    replica: ReplicaStatus
    revision: int
    compact_revision: int
    size: int
    """Estimated bytes of all keys, values and history."""
    quota: int
    leases: int
    watchers: int
    cluster_version: int
    """The newest version of commands that is proposed in this cluster."""


class Store:
    """One member's store. A component; the replica is started before it and stopped after it."""

    def __init__(
        self,
        config: StoreConfig,
        replica: Replica,
        machine: StoreStateMachine,
        *,
        new_id: Callable[[], int],
        fatal: OnDeath,
    ) -> None:
        """`machine` is the one that `replica` applies to; `new_id` draws random 64-bit numbers."""
        self._config = config
        self._replica = replica
        self._machine = machine
        self._new_id = new_id
        self._tasks = TaskSet(f"{replica.name}/store", fatal)
        self._streams: set[WatchStream] = set()
        self._leading = False
        self._unsubscribe: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        return "store"

    @property
    def revision(self) -> int:
        """That of this member, which may lag behind."""
        return self._machine.store.revision

    @property
    def compact_revision(self) -> int:
        """The oldest revision that this member can still read and watch."""
        return self._machine.store.compact_revision

    async def start(self) -> None:
        self._unsubscribe = self._replica.subscribe_leadership(self._leadership_changed)
        self._tasks.spawn(self._keep_house(), name="housekeeping")

    async def stop(self) -> None:
        """Ends every watch."""
        self._unsubscribe()
        await self._tasks.close()
        for stream in tuple(self._streams):
            stream.close(errors.Stopped())

    async def range(self, request: rq.RangeRequest) -> rq.RangeResponse:
        request_checks.check_range(request)
        if not request.serializable:
            await self.linearize()
        if ranges.is_plain(request) and not 0 < request.limit <= RANGE_SLICE:
            return await self._range_in_slices(request)
        return ranges.execute(self._machine.store, request)

    async def put(self, request: rq.PutRequest) -> rq.PutResponse:
        request_checks.check_put(request)
        self._check_space()
        return await self._propose(request)  # type: ignore[no-any-return]

    async def delete_range(self, request: rq.DeleteRangeRequest) -> rq.DeleteRangeResponse:
        request_checks.check_delete_range(request)
        return await self._propose(request)  # type: ignore[no-any-return]

    async def txn(self, request: rq.TxnRequest) -> rq.TxnResponse:
        request_checks.check_txn(request, self._config.max_txn_ops)
        if rq.is_read_only(request):
            if not rq.is_serializable(request):
                await self.linearize()
            return transactions.execute(self._machine.store, self._machine.leases, request)
        if rq.has_puts(request):
            self._check_space()
        return await self._propose(request)  # type: ignore[no-any-return]

    async def compact(self, request: rq.CompactionRequest) -> rq.CompactionResponse:
        response: rq.CompactionResponse = await self._propose(request)
        if request.physical:
            await self._sweep()
        return response

    async def _range_in_slices(self, request: rq.RangeRequest) -> rq.RangeResponse:
        """Read a long range at one revision, letting others run in between."""
        store = self._machine.store
        first = ranges.execute(store, request._replace(limit=RANGE_SLICE))
        if not first.more:
            return first
        kvs, more = list(first.kvs), True
        at = request.revision if request.revision > 0 else first.revision
        while more and len(kvs) != request.limit:
            await asyncio.sleep(0)
            left = request.limit - len(kvs) if request.limit > 0 else RANGE_SLICE
            part = request._replace(
                key=kvs[-1].key + b"\0", revision=at, limit=min(left, RANGE_SLICE)
            )
            try:
                following = ranges.execute(store, part)
            except errors.Compacted:
                # Compacted meanwhile: no reason to refuse who asked for the present.
                if request.revision > 0:
                    raise
                return ranges.execute(store, request)
            kvs += following.kvs
            more = following.more
        return rq.RangeResponse(first.revision, kvs, more, first.total)

    async def linearize(self) -> None:
        """Wait until this member knows everything that was committed when this was called."""
        try:
            await self._replica.read_index(timeout=self._config.request_timeout)
        except replica_errors.ReplicaError as error:
            raise _ERRORS.get(type(error), errors.Timeout)() from error

    async def lease_grant(self, request: rq.LeaseGrantRequest) -> rq.LeaseGrantResponse:
        self._check_space()
        ttl = max(request.ttl, self._config.min_lease_ttl)
        # Ids are positive numbers of 63 bits.
        lease_id = request.id or (self._new_id() & (2**63 - 1)) or 1
        return await self._propose(  # type: ignore[no-any-return]
            rq.LeaseGrantRequest(ttl, lease_id)
        )

    async def lease_revoke(self, request: rq.LeaseRevokeRequest) -> rq.LeaseRevokeResponse:
        return await self._propose(request)  # type: ignore[no-any-return]

    async def lease_keep_alive(
        self, request: rq.LeaseKeepAliveRequest
    ) -> rq.LeaseKeepAliveResponse:
        """Renewals are replicated, so that any member can take them and a new leader knows."""
        return await self._propose(request)  # type: ignore[no-any-return]

    async def lease_time_to_live(self, lease_id: int) -> rq.LeaseTimeToLiveResponse:
        """The time left is this member's estimate, at most a little longer than the leader's."""
        await self.linearize()
        lease = self._machine.leases.get(lease_id)
        if lease is None:
            return rq.LeaseTimeToLiveResponse(self.revision, lease_id, -1, 0, ())
        remaining = self._machine.leases.remaining(lease_id, asyncio.get_running_loop().time())
        return rq.LeaseTimeToLiveResponse(
            self.revision, lease_id, remaining, lease.ttl, sorted(lease.keys)
        )

    async def lease_leases(self) -> rq.LeaseLeasesResponse:
        await self.linearize()
        ids = [lease.id for lease in self._machine.leases.by_deadline()]
        return rq.LeaseLeasesResponse(self.revision, ids)

    def watch_stream(self) -> WatchStream:
        """A stream for any number of watches; whoever asks must close it."""
        stream = WatchStream(
            self._machine,
            progress_interval=self._config.progress_interval,
            max_response_bytes=self._config.max_request_bytes,
            on_close=self._streams.discard,
        )
        self._streams.add(stream)
        return stream

    def status(self) -> StoreStatus:
        store = self._machine.store
        return StoreStatus(
            replica=self._replica.status(),
            revision=store.revision,
            compact_revision=store.compact_revision,
            size=store.size,
            quota=self._config.quota_bytes,
            leases=len(self._machine.leases),
            watchers=len(self._machine.watchers),
            cluster_version=self._machine.cluster_version,
        )

    async def hash_kv(self, revision: int) -> rq.HashKVResponse:
        """The checksum of this member's keys as of `revision` (0: now), for comparison with other
        members at the same revision and compact revision."""
        store = self._machine.store
        hashed_revision = revision or store.revision
        compact_revision = store.compact_revision
        slices = hashing.hash_kv(store, hashed_revision)
        while True:
            try:
                next(slices)
            except StopIteration as end:
                checksum = int(end.value)
                return rq.HashKVResponse(
                    store.revision, checksum, compact_revision, hashed_revision
                )
            await asyncio.sleep(0)

    async def move_leader(self, member_id: int) -> None:
        """Make another member the leader. Raises BadLeaderTransferee if it is not a member."""
        try:
            await self._replica.transfer_leadership(member_id, timeout=self._config.request_timeout)
        except ValueError as error:
            raise errors.BadLeaderTransferee from error
        except replica_errors.ReplicaError as error:
            raise _ERRORS.get(type(error), errors.Timeout)() from error

    async def _propose(self, request: commands.Command) -> Any:
        command = commands.encode(request)
        if len(command) > self._config.max_request_bytes:
            raise errors.RequestTooLarge
        if commands.version_of(command) > self._machine.cluster_version:
            raise errors.NotCapable
        try:
            result = await self._replica.propose(command, timeout=self._config.request_timeout)
        except replica_errors.ReplicaError as error:
            raise _ERRORS.get(type(error), errors.Timeout)() from error
        if isinstance(result, errors.StoreError):
            raise result
        return result

    def _check_space(self) -> None:
        if self._machine.store.size > self._config.quota_bytes:
            raise errors.NoSpace

    def _leadership_changed(self, leading: bool, term: int) -> None:
        self._leading = leading
        if leading:
            self._machine.leases.renew_all(asyncio.get_running_loop().time())

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(self._config.housekeeping_interval)
            if self._machine.store.unswept:
                await self._sweep()
            if self._leading:
                await self._revoke_expired()
                await self._upgrade()

    async def _sweep(self) -> None:
        while self._machine.store.unswept:
            swept = self._machine.store.sweep(SWEEP_SLICE)
            # A snapshot or hash under way holds everything in place for a while.
            await asyncio.sleep(0 if swept else self._config.housekeeping_interval)

    async def _upgrade(self) -> None:
        """Let newer commands be proposed once every member is known to understand them."""
        before = self._machine.cluster_version
        if before == self._machine.command_version:
            return
        version = self._replica.common_command_version()
        if version <= before:
            return
        try:
            await self._propose(rq.ClusterVersionRequest(version))
            log.info("the cluster went over from commands of version %d to %d", before, version)
        except errors.StoreError as error:
            log.info("the cluster stays at commands of version %d for now: %s", before, error)

    async def _revoke_expired(self) -> None:
        now = asyncio.get_running_loop().time()
        expired = self._machine.leases.expired(now, EXPIRY_BATCH)
        if expired:
            await asyncio.wait(
                [self._tasks.spawn(self._revoke(each), name="revoke") for each in expired]
            )

    async def _revoke(self, lease_id: int) -> None:
        try:
            await self._propose(rq.LeaseRevokeRequest(lease_id))
        except errors.StoreError as error:
            # It comes again while it exists, here or on the next leader.
            log.info("lease %x expired and was not revoked yet: %s", lease_id, error)
