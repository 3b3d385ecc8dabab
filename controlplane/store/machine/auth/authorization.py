"""What a request needs (etcd: server/etcdserver/apply/apply_auth.go).

Asked before a request is carried out: by the member that is asked for reads, by every member alike
for what is replicated. A transaction needs everything that its compares and both its branches
name, whichever is taken, so that its refusal tells nothing about keys that may not be read.
"""

from collections.abc import Collection

from podling.controlplane.store import auth_requests
from podling.controlplane.store import requests as rq
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.errors import StoreError
from podling.controlplane.store.machine.auth.auth_store import AuthStore
from podling.controlplane.store.machine.leases import Leases


def check(auth: AuthStore, leases: Leases, who: Identity | None, request: object) -> None:
    """Raise unless `who` may ask for `request`, a replicated command or a transaction's part.

    Raises UserEmpty, UserNotFound, PermissionDenied and AuthOldRevision.
    """
    if not auth.enabled:
        return
    if isinstance(request, rq.PutRequest):
        _check_put(auth, leases, who, request)
    elif isinstance(request, rq.RangeRequest):
        auth.check_read(who, request.key, request.range_end)
    elif isinstance(request, rq.DeleteRangeRequest):
        auth.check_write(who, request.key, request.range_end)
        if request.prev_kv:
            auth.check_read(who, request.key, request.range_end)
    elif isinstance(request, rq.TxnRequest):
        for compare in request.compare:
            auth.check_read(who, compare.key, compare.range_end)
        for operation in (*request.success, *request.failure):
            check(auth, leases, who, operation)
        auth.check_known(who)
    elif isinstance(request, rq.LeaseRevokeRequest | rq.LeaseKeepAliveRequest):
        check_lease_writable(auth, leases, who, request.id)
    elif isinstance(request, rq.LeaseGrantRequest | rq.CompactionRequest):
        auth.check_known(who)
    elif not isinstance(request, auth_requests.AuthenticateRequest):
        auth.check_admin(who)


def check_lease_writable(
    auth: AuthStore, leases: Leases, who: Identity | None, lease_id: int
) -> None:
    """Only who may write all keys of a lease may decide when it ends.

    Raises UserEmpty, PermissionDenied and AuthOldRevision.
    """
    auth.check_known(who)
    for key in _keys(auth, leases, who, lease_id):
        auth.check_write(who, key)


def check_lease_readable(
    auth: AuthStore, leases: Leases, who: Identity | None, lease_id: int
) -> None:
    """Only who may read all keys of a lease is told which they are. Raises as above."""
    auth.check_known(who)
    for key in _keys(auth, leases, who, lease_id):
        auth.check_read(who, key)


def _check_put(
    auth: AuthStore, leases: Leases, who: Identity | None, request: rq.PutRequest
) -> None:
    auth.check_write(who, request.key)
    if request.lease:
        # Or the key would die with a lease that its writer cannot revoke.
        check_lease_writable(auth, leases, who, request.lease)
    if request.prev_kv:
        auth.check_read(who, request.key)


def _keys(
    auth: AuthStore, leases: Leases, who: Identity | None, lease_id: int
) -> Collection[bytes]:
    """The keys of a lease that `who` must have permissions for: none, if an administrator.

    Raises AuthOldRevision.
    """
    lease = leases.get(lease_id)
    if lease is None or not lease.keys:
        return ()
    auth.check_current(who)
    try:
        auth.check_admin(who)
    except StoreError:
        return lease.keys
    return ()
