"""Tells the cluster that this API server lives, and which others do.

    every 10 s      renew the own key, list the keys of all, and make the EndpointSlices of the
                    Service `kubernetes` say the same
    at the end      remove the own key, and make them say the same

The slices are read before the keys are listed, and replaced only in the state in which they were
read. So of two servers that do this at once one is refused and looks again, and nobody overwrites
what was written by somebody who had seen newer keys.
"""

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass

from podling.aiokit.backoff import Backoff
from podling.aiokit.tasks import OnDeath, TaskSet
from podling.controlplane.apiserver.registry.registry import Call, Registry
from podling.controlplane.apiserver.request.options import DeleteOptions
from podling.controlplane.apiserver.server_leases import lease_keys, slice_plan
from podling.controlplane.apiserver.server_leases.lease_keys import Endpoint
from podling.controlplane.apiserver.server_leases.own_lease import LeaseTimings, OwnLease
from podling.controlplane.apiserver.server_leases.silence import Silence
from podling.controlplane.apiserver.server_leases.slice_plan import Create, Remove, Replace, Write
from podling.controlplane.apiserver.storage.interface import Storage, StorageError
from podling.controlplane.apiserver.watch_cache.watch_cache import WatchCache
from podling.kube import errors, meta
from podling.kube.errors import ApiError
from podling.kube.kinds import ENDPOINT_SLICE
from podling.kube.meta import Object

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""How often the slices are looked at anew because somebody else was quicker."""
TRY_SECONDS = 2.0
"""How long one try may take: a second one must still come before the lease ends."""
FAILURES_SAID = 3
"""After so many in a row it is said, once: a member of the store may be passed over before."""
SILENT_LEASES = 3
"""For so many lengths of a lease may a key stand that nobody renews."""

_QUICKER = (errors.Conflict, errors.AlreadyExists, errors.NotFound)
"""What a write meets that somebody else was quicker with."""


@dataclass(frozen=True, slots=True)
class ServiceSlices:
    """Where the EndpointSlices are read and written."""

    registry: Registry
    cache: WatchCache
    call: Callable[[], Call]
    """In whose name they are written."""

    def read(self) -> list[Object]:
        """Perhaps an older state of them; a write to that is refused."""
        prefix = ENDPOINT_SLICE.storage_range(slice_plan.NAMESPACE)
        return [
            entry.decode()
            for entry in self.cache.of(ENDPOINT_SLICE).snapshot(prefix)
            if slice_plan.concerns(entry.key.removeprefix(prefix).decode(), entry.labels)
        ]

    async def write(self, write: Write) -> None:
        """Raises one of _QUICKER if the slice is not in the state that was read."""
        namespace, name = slice_plan.NAMESPACE, meta.name(write.obj)
        version = meta.resource_version(write.obj)
        match write:
            case Create(obj):
                await self.registry.create(
                    ENDPOINT_SLICE, namespace, copy.deepcopy(obj), self.call()
                )
            case Replace(obj):
                await self.registry.update(
                    ENDPOINT_SLICE, namespace, name, lambda _: copy.deepcopy(obj), self.call()
                )
            case Remove():
                options = DeleteOptions(resource_version=version)
                await self.registry.delete(ENDPOINT_SLICE, namespace, name, options, self.call())


class Announcer:
    """Runs from `start` to `stop`."""

    def __init__(
        self,
        own: OwnLease,
        timings: LeaseTimings,
        storage: Storage,
        slices: ServiceSlices,
        backoff: Backoff,
        on_death: OnDeath,
    ) -> None:
        self.tried = asyncio.Event()
        """Set after the first try, whatever came of it: a full store can still be read."""
        self._own = own
        self._timings = timings
        self._storage = storage
        self._slices = slices
        self._backoff = backoff
        self._silence = Silence(timings.renewal, SILENT_LEASES * timings.length)
        self._tasks = TaskSet("announcer", on_death)

    async def start(self) -> None:
        self._tasks.spawn(self._run(), name="announce")

    async def stop(self) -> None:
        """Also if it was never started."""
        began = bool(self._tasks)
        await self._tasks.close()
        if began and (why := await _try(self.withdraw, self._timings.withdrawal)):
            log.info(
                "%s will be an address of the API until its lease ends, in %d s at most: %s",
                self._own.endpoint, self._timings.length, why,
            )  # fmt: skip

    async def announce(self) -> None:
        """Raises ApiError, StorageError or TimeoutError."""
        await self._own.renew()
        await self._reconcile({self._own.endpoint})

    async def withdraw(self) -> None:
        """The reverse of `announce`."""
        await self._own.remove()
        await self._reconcile(set())

    async def _run(self) -> None:
        failures = 0
        while True:
            why = await _try(self.announce, TRY_SECONDS)
            self.tried.set()
            if why:
                failures += 1
                if failures == FAILURES_SAID:
                    log.warning("the addresses of the API servers are not up to date: %s", why)
                await asyncio.sleep(self._backoff.next())
            else:
                failures = 0
                self._backoff.reset()
                await asyncio.sleep(self._timings.renewal)

    async def _reconcile(self, surely: Set[Endpoint]) -> None:
        for _ in range(ATTEMPTS):
            slices = self._slices.read()
            writes = slice_plan.plan(surely | await self._living(), slices)
            try:
                for write in writes:
                    await self._slices.write(write)
                return
            except _QUICKER as error:
                log.debug("looking at the addresses again: %s", error)
                await self._slices.cache.refresh(TRY_SECONDS)
        raise errors.Conflict(kind=ENDPOINT_SLICE, name=slice_plan.SERVICE)

    async def _living(self) -> set[Endpoint]:
        found = (await self._storage.list(lease_keys.PREFIX, lease_keys.END)).kvs
        servers = {
            kv: endpoint
            for kv in found
            if (endpoint := lease_keys.parse(kv.key, self._own.endpoint.port)) is not None
        }
        for kv in self._silence.look(servers, asyncio.get_running_loop().time()):
            log.warning(
                "removing %s: nobody renews it, and the store does not end its lease",
                kv.key.decode(),
            )
            await self._storage.delete(kv.key, expected_revision=kv.mod_revision)
            del servers[kv]
        return set(servers.values())


async def _try(work: Callable[[], Awaitable[None]], seconds: float) -> str:
    """Why it did not work; empty if it did."""
    try:
        async with asyncio.timeout(seconds):
            await work()
    except (ApiError, StorageError, TimeoutError) as error:
        return str(error) or f"no answer within {seconds:g} s"
    return ""
