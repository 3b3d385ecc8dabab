"""Lines in which callers wait for a lock or for leadership (etcd: client/v3/concurrency).

Whoever stands in the line NAME has the key NAME/LEASE, the lease in hexadecimal, and loses it with
the lease. It is the turn of the key that was created first. Each waits only for the one before it
to go, so that one caller wakes when one goes. Clients that run the same recipe themselves stand in
the same lines.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import NamedTuple

from podling.aiokit.tasks import TaskSet
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.etcd.callers_store import CallersStore
from podling.controlplane.store.key_values import Event, KeyValue

LEASE_TTL = 60
"""Seconds, of the lease of a caller that brings none."""


class Place(NamedTuple):
    """Somebody's place in a line."""

    key: bytes
    created: int
    """Revision at which the key was created: the smaller, the earlier the turn."""


class Told(NamedTuple):
    """A key and the revision at which it was so."""

    kv: KeyValue | None
    revision: int


class WaitingLine:
    """The line of one name."""

    def __init__(self, store: CallersStore, name: bytes) -> None:
        self._store = store
        self._prefix = name + b"/"
        #: "0" is the byte after "/".
        self._prefix_end = name + b"0"

    async def wait(self, lease: int, value: bytes = b"") -> Place:
        """Stand in line, and return when it is the lease's turn; whoever stops waiting leaves it.

        Raises LeaseNotFound.
        """
        place = await self._join(lease, value)
        try:
            await self._turn(place)
        except BaseException:
            with suppress(errors.StoreError):
                await self.leave(place)
            raise
        return place

    async def set(self, place: Place, value: bytes, lease: int) -> rq.TxnResponse:
        """Change the value; it has not `succeeded` if the place is lost."""
        return await self._if_held(place, rq.PutRequest(place.key, value, lease))

    async def leave(self, place: Place) -> rq.TxnResponse:
        """Give the place up; it has not `succeeded` if it was lost before."""
        return await self._if_held(place, rq.DeleteRangeRequest(place.key))

    async def first(self) -> Told:
        """Whose turn it is now."""
        return await self._at_end(rq.SortOrder.ASCEND)

    async def somebody(self, since: int) -> None:
        """Wait for a change of the line after the revision `since`."""
        async with aclosing(
            self.changes(self._prefix, since + 1, range_end=self._prefix_end)
        ) as changes:
            async for _ in changes:
                return

    async def changes(
        self, key: bytes, start: int, *, range_end: bytes = b""
    ) -> AsyncGenerator[tuple[Event, int], None]:
        """Every change from the revision `start` on, with the revision of the store; ends if the
        history was compacted before it was read: look again then."""
        stream = self._store.watch_stream()
        try:
            request = rq.WatchCreateRequest(key, range_end, start_revision=start)
            await self._store.create_watch(stream, request)
            while not (response := await stream.next()).canceled:
                for event in response.events:
                    yield event, response.revision
        finally:
            stream.close()

    async def _join(self, lease: int, value: bytes = b"") -> Place:
        """Stand in line, or stay where this lease stands already, with this value.

        Raises LeaseNotFound.
        """
        key = self._prefix + b"%x" % lease
        put = rq.PutRequest(key, value, lease)
        absent = rq.Compare(key, rq.CompareTarget.CREATE, rq.CompareResult.EQUAL, 0)
        answer = await self._store.txn(rq.TxnRequest([absent], [put], [rq.RangeRequest(key)]))
        if answer.succeeded:
            return Place(key, answer.revision)
        (found,) = answer.responses
        assert isinstance(found, rq.RangeResponse)
        place = Place(key, found.kvs[0].create_revision)
        if found.kvs[0].value != value:
            await self.set(place, value, lease)
        return place

    async def _turn(self, place: Place) -> None:
        """Wait until nobody stands before this place."""
        while True:
            before = await self._at_end(rq.SortOrder.DESCEND, place.created - 1)
            if before.kv is None:
                return
            async with aclosing(self.changes(before.kv.key, before.revision + 1)) as changes:
                async for event, _ in changes:
                    if event.deleted:
                        break

    async def _at_end(self, order: rq.SortOrder, max_created: int = 0) -> Told:
        """Who stands first (ASCEND) or last, of those who came up to this revision; 0: of all."""
        request = rq.RangeRequest(
            self._prefix,
            self._prefix_end,
            limit=1,
            sort_order=order,
            sort_target=rq.SortTarget.CREATE,
            max_create_revision=max_created,
        )
        found = await self._store.range(request)
        return Told(found.kvs[0] if found.kvs else None, found.revision)

    async def _if_held(self, place: Place, operation: rq.Operation) -> rq.TxnResponse:
        held = rq.Compare(place.key, rq.CompareTarget.CREATE, rq.CompareResult.EQUAL, place.created)
        return await self._store.txn(rq.TxnRequest([held], [operation], ()))


@asynccontextmanager
async def kept_lease(store: CallersStore, lease: int) -> AsyncIterator[int]:
    """A lease, granted if it is 0, that is renewed within; afterwards its owner must do so.

    Raises LeaseNotFound.
    """
    if lease:
        ttl = (await store.lease_keep_alive(rq.LeaseKeepAliveRequest(lease))).ttl
        if not ttl:
            raise errors.LeaseNotFound
    else:
        granted = await store.lease_grant(rq.LeaseGrantRequest(LEASE_TTL))
        lease, ttl = granted.id, granted.ttl
    async with TaskSet("store/waiting") as tasks:
        tasks.spawn(_renew(store, lease, ttl / 3), name="lease")
        yield lease


async def _renew(store: CallersStore, lease: int, every: float) -> None:
    ttl = 1
    while ttl:
        await asyncio.sleep(every)
        try:
            ttl = (await store.lease_keep_alive(rq.LeaseKeepAliveRequest(lease))).ttl
        except errors.StoreError:
            # Without a leader nothing expires either; it comes again.
            continue
