"""The store as one caller may use it."""

from podling.controlplane.store import requests as rq
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.errors import StoreError
from podling.controlplane.store.etcd.caller import Caller
from podling.controlplane.store.store import Store
from podling.controlplane.store.watch_streams import WatchStream


async def identity_of(store: Store, caller: Caller) -> Identity | None:
    """Who the caller is, to be given to the store as `user`. Raises InvalidAuthToken."""
    if not caller.token and not store.auth.enabled:
        return None
    return await store.auth.identify(caller.token, caller.certificate_name)


async def check_admin(store: Store, caller: Caller) -> None:
    """Raises UserEmpty, UserNotFound, PermissionDenied and InvalidAuthToken."""
    store.auth.check_admin(await identity_of(store, caller))


async def check_known(store: Store, caller: Caller) -> None:
    """Raises UserEmpty and InvalidAuthToken."""
    store.auth.check_known(await identity_of(store, caller))


async def create_watch(
    store: Store, caller: Caller, stream: WatchStream, request: rq.WatchCreateRequest
) -> rq.WatchResponse:
    """Begin a watch, or have the stream answer why the caller may not."""
    try:
        user = await identity_of(store, caller)
    except StoreError as error:
        return stream.refuse(error)
    return stream.create(request, user=user)


class CallersStore:
    """For what takes several requests, perhaps long after one another.

    Who the caller is is established anew for each, since users may change meanwhile.
    """

    def __init__(self, store: Store, caller: Caller) -> None:
        self._store = store
        self._caller = caller

    async def range(self, request: rq.RangeRequest) -> rq.RangeResponse:
        return await self._store.range(request, user=await self._user())

    async def txn(self, request: rq.TxnRequest) -> rq.TxnResponse:
        return await self._store.txn(request, user=await self._user())

    async def delete_range(self, request: rq.DeleteRangeRequest) -> rq.DeleteRangeResponse:
        return await self._store.delete_range(request, user=await self._user())

    async def lease_grant(self, request: rq.LeaseGrantRequest) -> rq.LeaseGrantResponse:
        return await self._store.lease_grant(request, user=await self._user())

    async def lease_keep_alive(
        self, request: rq.LeaseKeepAliveRequest
    ) -> rq.LeaseKeepAliveResponse:
        return await self._store.lease_keep_alive(request, user=await self._user())

    async def lease_time_to_live(self, lease_id: int) -> rq.LeaseTimeToLiveResponse:
        user = await self._user()
        return await self._store.lease_time_to_live(lease_id, keys=False, user=user)

    def watch_stream(self) -> WatchStream:
        return self._store.watch_stream()

    async def create_watch(
        self, stream: WatchStream, request: rq.WatchCreateRequest
    ) -> rq.WatchResponse:
        return await create_watch(self._store, self._caller, stream, request)

    async def _user(self) -> Identity | None:
        return await identity_of(self._store, self._caller)
