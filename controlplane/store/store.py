"""The store as the rest of the program uses it: decoded request in, response out.

Free of the gRPC library; the gRPC face and the API server in the same process call the same
methods. Reads are linearizable unless they ask not to be: the replica confirms that it has applied
everything that was committed when the read came in (Raft thesis, section 6.4). Writes are proposed
to the replicas and answered when this one has applied them. A write that ends in Timeout may have
happened or happen later, and is never repeated here.

Who asks is told as `user` (see `Authentication.identify`), which matters only while authentication
is enabled; then without one almost everything is refused.

Every method raises the StoreErrors that `errors` describes; etcd's texts and semantics throughout.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from podling.aiokit.tasks import OnDeath, TaskSet
from podling.controlplane.replica import errors as replica_errors
from podling.controlplane.replica.replica import Replica
from podling.controlplane.replica.status import ReplicaStatus
from podling.controlplane.store import errors, request_checks
from podling.controlplane.store import requests as rq
from podling.controlplane.store.alarms import StoreAlarms, checksum_of
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.authentication import Authentication
from podling.controlplane.store.cluster_members import ClusterMembers
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.housekeeping import Housekeeping
from podling.controlplane.store.machine import ranges, transactions
from podling.controlplane.store.machine.auth import authorization
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.passwords import BcryptPasswords, Passwords
from podling.controlplane.store.proposer import Proposer, refusal_of
from podling.controlplane.store.token_providers import (
    SignedTokens,
    Signer,
    SimpleTokens,
    TokenProvider,
)
from podling.controlplane.store.watch_streams import WatchStream

RANGE_SLICE = 5000
"""Keys read between two turns of the event loop."""


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


class Snapshot(NamedTuple):
    """The whole store at one revision; what a member can be restored from."""

    size: int
    """Bytes in all."""
    chunks: Iterator[bytes]
    """A few milliseconds' work each, unless values are large."""


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
        passwords: Passwords | None = None,
        signer: Signer | None = None,
    ) -> None:
        """`machine` is the one that `replica` applies to; `new_id` draws random 64-bit numbers that
        nobody can guess; `passwords` are hashed by bcrypt if not told otherwise; tokens are simple
        ones unless there is a `signer`."""
        self._config = config
        self._replica = replica
        self._machine = machine
        self._new_id = new_id
        self._tasks = TaskSet(f"{replica.name}/store", fatal)
        # In the order of their beginning, which is the order in which `stop` ends them.
        self._streams: dict[WatchStream, None] = {}
        self._proposer = proposer = Proposer(config, replica, machine)
        self._passwords = passwords or BcryptPasswords(config.bcrypt_cost)
        tokens: TokenProvider = SimpleTokens(machine, proposer, new_id)
        if signer is not None:
            tokens = SignedTokens(machine, proposer, signer)
        self.auth = Authentication(machine, proposer, self._passwords, tokens)
        self.alarms = StoreAlarms(config, machine, proposer, self._tasks, lambda: replica.member_id)
        self.members = ClusterMembers(replica, new_id, timeout=config.request_timeout)
        self._housekeeping = Housekeeping(
            config, replica, machine, proposer, self.alarms, self._tasks
        )

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
        self._housekeeping.start()

    async def stop(self) -> None:
        """Ends every watch."""
        self._housekeeping.stop()
        await self._tasks.close()
        self._passwords.close()
        self.end_watches()

    def end_watches(self) -> None:
        """Let those who watch go on at another member: this one stops."""
        for stream in tuple(self._streams):
            stream.close(errors.Stopped())

    async def range(
        self, request: rq.RangeRequest, *, user: Identity | None = None
    ) -> rq.RangeResponse:
        request_checks.check_range(request)
        if not request.serializable:
            await self.linearize()
        self._machine.auth.check_read(user, request.key, request.range_end)
        if ranges.is_plain(request) and not 0 < request.limit <= RANGE_SLICE:
            response = await self._range_in_slices(request)
            self._machine.auth.check_current(user)
            return response
        return ranges.execute(self._machine.store, request)

    async def put(self, request: rq.PutRequest, *, user: Identity | None = None) -> rq.PutResponse:
        request_checks.check_put(request)
        await self.alarms.check_space()
        return await self._proposer.propose(request, user)  # type: ignore[no-any-return]

    async def delete_range(
        self, request: rq.DeleteRangeRequest, *, user: Identity | None = None
    ) -> rq.DeleteRangeResponse:
        request_checks.check_delete_range(request)
        return await self._proposer.propose(request, user)  # type: ignore[no-any-return]

    async def txn(self, request: rq.TxnRequest, *, user: Identity | None = None) -> rq.TxnResponse:
        request_checks.check_txn(request, self._config.max_txn_ops)
        if rq.is_read_only(request):
            if not rq.is_serializable(request):
                await self.linearize()
            machine = self._machine
            authorization.check(machine.auth, machine.leases, user, request)
            return transactions.execute(machine.store, machine.leases, request)
        if rq.has_puts(request):
            await self.alarms.check_space()
        return await self._proposer.propose(request, user)  # type: ignore[no-any-return]

    async def compact(
        self, request: rq.CompactionRequest, *, user: Identity | None = None
    ) -> rq.CompactionResponse:
        response: rq.CompactionResponse = await self._proposer.propose(request, user)
        if request.physical:
            await self._housekeeping.sweep()
        return response

    async def _range_in_slices(self, request: rq.RangeRequest) -> rq.RangeResponse:
        """Read a long range at one revision, letting others run in between."""
        first = ranges.execute(self._machine.store, request._replace(limit=RANGE_SLICE))
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
            # A snapshot may have replaced the store by a later one, and the former is taken apart.
            store = self._machine.store
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
        await self._proposer.linearize()

    async def lease_grant(
        self, request: rq.LeaseGrantRequest, *, user: Identity | None = None
    ) -> rq.LeaseGrantResponse:
        await self.alarms.check_space()
        ttl = max(request.ttl, self._config.min_lease_ttl)
        # Ids are positive numbers of 63 bits.
        lease_id = request.id or (self._new_id() & (2**63 - 1)) or 1
        return await self._proposer.propose(  # type: ignore[no-any-return]
            rq.LeaseGrantRequest(ttl, lease_id), user
        )

    async def lease_revoke(
        self, request: rq.LeaseRevokeRequest, *, user: Identity | None = None
    ) -> rq.LeaseRevokeResponse:
        return await self._proposer.propose(request, user)  # type: ignore[no-any-return]

    async def lease_keep_alive(
        self, request: rq.LeaseKeepAliveRequest, *, user: Identity | None = None
    ) -> rq.LeaseKeepAliveResponse:
        """Renewals are replicated, so that any member can take them and a new leader knows."""
        return await self._proposer.propose(request, user)  # type: ignore[no-any-return]

    async def lease_time_to_live(
        self, lease_id: int, *, keys: bool = True, user: Identity | None = None
    ) -> rq.LeaseTimeToLiveResponse:
        """The time left is this member's estimate, at most a little longer than the leader's."""
        await self.linearize()
        auth, leases = self._machine.auth, self._machine.leases
        auth.check_known(user)
        lease = leases.get(lease_id)
        if lease is None:
            return rq.LeaseTimeToLiveResponse(self.revision, lease_id, -1, 0, ())
        attached: list[bytes] = []
        if keys:
            authorization.check_lease_readable(auth, leases, user, lease_id)
            attached = sorted(lease.keys)
        remaining = leases.remaining(lease_id, self._machine.now())
        return rq.LeaseTimeToLiveResponse(self.revision, lease_id, remaining, lease.ttl, attached)

    async def lease_leases(self, *, user: Identity | None = None) -> rq.LeaseLeasesResponse:
        await self.linearize()
        self._machine.auth.check_known(user)
        leases = self._machine.leases.by_deadline()
        if self.auth.enabled:
            for lease in leases:
                authorization.check_lease_readable(
                    self._machine.auth, self._machine.leases, user, lease.id
                )
        return rq.LeaseLeasesResponse(self.revision, [lease.id for lease in leases])

    def watch_stream(self) -> WatchStream:
        """A stream for any number of watches; whoever asks must close it."""
        stream = WatchStream(
            self._machine,
            progress_interval=self._config.progress_interval,
            max_response_bytes=self._config.max_request_bytes,
            on_close=self._streams.pop,
        )
        self._streams[stream] = None
        return stream

    def status(self) -> StoreStatus:
        """Raises Stopped."""
        try:
            replica = self._replica.status()
        except replica_errors.ReplicaError as error:
            raise refusal_of(error) from error
        store = self._machine.store
        return StoreStatus(
            replica=replica,
            revision=store.revision,
            compact_revision=store.compact_revision,
            size=store.size,
            quota=self._config.quota,
            leases=len(self._machine.leases),
            watchers=len(self._machine.watchers),
            cluster_version=self._machine.cluster_version,
        )

    async def hash_kv(self, revision: int) -> rq.HashKVResponse:
        """The checksum of this member's keys as of `revision` (0: now), for comparison with other
        members at the same revision and compact revision."""
        store = self._machine.store
        hashed_revision = revision if revision > 0 else store.revision
        compact_revision = store.compact_revision
        checksum = await checksum_of(store, hashed_revision)
        return rq.HashKVResponse(store.revision, checksum, compact_revision, hashed_revision)

    async def snapshot(self) -> Snapshot:
        """All of the store as of now. Until it is read or dropped nothing older is freed."""
        chunks, counted = self._machine.snapshot(), self._machine.snapshot()
        size = 0
        for chunk in counted:
            size += len(chunk)
            await asyncio.sleep(0)
        return Snapshot(size, chunks)

    async def move_leader(self, member_id: int) -> None:
        """Make another member the leader. Raises BadLeaderTransferee if it is not a member."""
        try:
            await self._replica.transfer_leadership(member_id, timeout=self._config.request_timeout)
        except ValueError as error:
            raise errors.BadLeaderTransferee from error
        except replica_errors.ReplicaError as error:
            raise refusal_of(error) from error
