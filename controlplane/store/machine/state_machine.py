"""What the members of the store replicate: keys with their history, leases, users and alarms.

A command that is refused (an unknown lease, a compacted revision, a user who may not) is refused on
every member alike and changes nothing; the refusal is its result. Watchers belong to this member
alone: they are told of every transaction here, and see no difference between a leader and a
follower.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args

from podling.controlplane.store import auth_requests as auth
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.errors import (
    AuthFailed,
    AuthNotEnabled,
    LeaseNotFound,
    StoreError,
)
from podling.controlplane.store.machine import commands, snapshots, transactions
from podling.controlplane.store.machine.alarms import Alarms
from podling.controlplane.store.machine.auth import authorization, tokens
from podling.controlplane.store.machine.auth.auth_store import AuthStore
from podling.controlplane.store.machine.auth.tokens import Tokens
from podling.controlplane.store.machine.commands import CommandError
from podling.controlplane.store.machine.later_commands import OnBehalf
from podling.controlplane.store.machine.leases import Leases
from podling.controlplane.store.machine.mvcc import Mvcc
from podling.controlplane.store.machine.watchers import Watchers
from podling.controlplane.store.requests import (
    AlarmRequest,
    AlarmResponse,
    ClusterVersionRequest,
    ClusterVersionResponse,
    CompactionRequest,
    CompactionResponse,
    DeleteRangeRequest,
    DeleteRangeResponse,
    HashCheckRequest,
    HashCheckResponse,
    LeaseExpireRequest,
    LeaseExpireResponse,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    PutRequest,
    PutResponse,
    TxnRequest,
    TxnResponse,
)

#: Seconds of a monotonic clock; only leases and tokens look at it, and nothing replicated depends
#: on it.
Now = Callable[[], float]


class StoreStateMachine:
    """Implements `podling.controlplane.replica.state_machine.StateMachine`."""

    def __init__(
        self,
        now: Now,
        *,
        max_pending_bytes: int,
        command_version: int = commands.VERSION,
        token_ttl: float = tokens.TTL,
    ) -> None:
        """`max_pending_bytes` bounds what waits for one watcher (see `Watchers`)."""
        self.now = now
        self.command_version = command_version
        self.cluster_version = commands.FIRST_VERSION
        """The newest version of commands that may be proposed; the same on every member."""
        self.store = Mvcc()
        self.replaced: list[Mvcc] = []
        """Stores that snapshots have replaced, to be taken apart by whoever keeps house."""
        self.leases = Leases()
        self.watchers = Watchers(lambda: self.store, max_pending_bytes)
        self.auth = AuthStore()
        self.tokens = Tokens(token_ttl)
        self.alarms = Alarms()
        self.on_hash_check: Callable[[HashCheckRequest], None] = lambda check: None
        """Told when this member should compare its keys with the leader's; must not raise."""
        self._index = 0
        self._handlers: dict[type, Callable[[Any], object]] = {
            PutRequest: self._put,
            TxnRequest: self._txn,
            DeleteRangeRequest: self._delete_range,
            CompactionRequest: self._compact,
            LeaseGrantRequest: self._lease_grant,
            LeaseRevokeRequest: self._lease_revoke,
            LeaseKeepAliveRequest: self._lease_keep_alive,
            LeaseExpireRequest: self._lease_expire,
            ClusterVersionRequest: self._upgrade,
            AlarmRequest: self._alarm,
            HashCheckRequest: self._hash_check,
            auth.AuthenticateRequest: self._authenticate,
            **dict.fromkeys(get_args(auth.AuthChange), self._change_auth),
        }

    def apply(self, index: int, term: int, command: bytes) -> object:
        """Returns the response, or the StoreError that the command came to.

        Raises CommandError if this version does not understand the command: a member that skipped
        it would differ from its peers from then on.
        """
        request = commands.decode(command, self.command_version)
        self._index = index
        try:
            who: Identity | None = None
            if isinstance(request, OnBehalf):
                who, request = request
            if self.auth.enabled:
                authorization.check(self.auth, self.leases, who, request)
            if self.alarms:
                self.alarms.check(request)
            return self._handlers[type(request)](request)
        except StoreError as error:
            return error

    def snapshot(self) -> Iterator[bytes]:
        return snapshots.write(
            self.store, self.leases, self.cluster_version, self.auth, self.alarms
        )

    def load(self, chunks: Iterable[bytes]) -> snapshots.Contents:
        return snapshots.read(chunks)

    def take(self, contents: snapshots.Contents) -> None:
        """Also moves the watchers over, which go on from where they were.

        Raises CommandError, with the state unchanged, if the cluster is of a newer version.
        """
        self._check_version(contents.cluster_version)
        self.cluster_version = contents.cluster_version
        leases = Leases()
        now = self.now()
        for lease_id, ttl in contents.leases:
            leases.grant(lease_id, ttl, now).renewals = contents.renewals.get(lease_id, 0)
        for lease_id, key in contents.attached:
            leases.attach(lease_id, key)
        self.watchers.rewind(self.store.revision)
        self.replaced.append(self.store)
        self.store, self.leases = contents.store, leases
        self.auth, self.alarms = contents.auth, contents.alarms
        # Those of users that are gone or have changed their passwords may be among them.
        self.tokens.clear()

    def _put(self, request: PutRequest) -> PutResponse:
        response = transactions.put(self.store, self.leases, request)
        self._commit()
        return response

    def _delete_range(self, request: DeleteRangeRequest) -> DeleteRangeResponse:
        response = transactions.delete_range(self.store, request)
        self._commit()
        return response

    def _txn(self, request: TxnRequest) -> TxnResponse:
        response = transactions.execute(self.store, self.leases, request)
        self._commit()
        return response

    def _compact(self, request: CompactionRequest) -> CompactionResponse:
        self.store.compact(request.revision)
        return CompactionResponse(self.store.revision)

    def _lease_grant(self, request: LeaseGrantRequest) -> LeaseGrantResponse:
        lease = self.leases.grant(request.id, request.ttl, self.now())
        return LeaseGrantResponse(self.store.revision, lease.id, lease.ttl)

    def _lease_revoke(self, request: LeaseRevokeRequest) -> LeaseRevokeResponse:
        for key in self.leases.revoke(request.id):
            self.store.delete(key)
        self._commit()
        return LeaseRevokeResponse(self.store.revision)

    def _lease_expire(self, request: LeaseExpireRequest) -> LeaseExpireResponse:
        lease = self.leases.get(request.id)
        if lease is None:
            raise LeaseNotFound
        expired = lease.renewals == request.renewals
        if expired:
            self._lease_revoke(LeaseRevokeRequest(request.id))
        return LeaseExpireResponse(self.store.revision, expired)

    def _lease_keep_alive(self, request: LeaseKeepAliveRequest) -> LeaseKeepAliveResponse:
        try:
            ttl = self.leases.renew(request.id, self.now())
        except LeaseNotFound:
            ttl = 0
        return LeaseKeepAliveResponse(self.store.revision, request.id, ttl)

    def _upgrade(self, request: ClusterVersionRequest) -> ClusterVersionResponse:
        self._check_version(request.version)
        if self.cluster_version == commands.FIRST_VERSION < request.version:
            # Members of version 1 that were restored from a snapshot did not know all of them.
            self.leases.count_renewals_anew()
        self.cluster_version = max(self.cluster_version, request.version)
        return ClusterVersionResponse(self.store.revision, self.cluster_version)

    def _alarm(self, request: AlarmRequest) -> AlarmResponse:
        return AlarmResponse(self.store.revision, self.alarms.change(request))

    def _hash_check(self, request: HashCheckRequest) -> HashCheckResponse:
        self.on_hash_check(request)
        return HashCheckResponse(self.store.revision)

    def _change_auth(self, request: auth.AuthChange) -> auth.AuthResponse:
        self.auth.change(request)
        if not self.auth.enabled:
            self.tokens.clear()
        elif isinstance(request, auth.UserDeleteRequest | auth.UserChangePasswordRequest):
            self.tokens.forget_user(request.name)
        return auth.AuthResponse(self.store.revision)

    def _authenticate(self, request: auth.AuthenticateRequest) -> int:
        """Returns the index from which on the token is known."""
        if not self.auth.enabled:
            raise AuthNotEnabled
        user = self.auth.users.get(request.name)
        if user is None or user.no_password:
            raise AuthFailed
        self.tokens.add(request.token_hash, request.name, self._index, self.now())
        return self._index

    def _check_version(self, cluster_version: int) -> None:
        if cluster_version > self.command_version:
            raise CommandError(
                f"the cluster has gone over to commands of version {cluster_version}, but this "
                f"program knows version {self.command_version}: upgrade this member"
            )

    def _commit(self) -> None:
        events = self.store.commit()
        if events:
            if self.leases:
                self.leases.follow(events)
            self.watchers.publish(events)
