"""Events die an hour after they were last written, by a lease of the store.

A lease costs the store a write, so many Events share one: for a minute, or a thousand of them
(kube-apiserver's figures). The shared lease lives so much longer that no Event dies early.
"""

import asyncio

from podling.controlplane.apiserver.storage.interface import Storage
from podling.kube.kinds import EVENT, Kind

SHARED_SECONDS = 60
SHARED_OBJECTS = 1000


class EventLeases:
    """Fits `registry.LeaseFor`."""

    def __init__(self, storage: Storage, ttl_seconds: int) -> None:
        self._storage = storage
        self._ttl = ttl_seconds
        self._lease = 0
        self._uses_left = 0
        self._granted_at = 0.0
        self._granting = asyncio.Lock()

    async def __call__(self, kind: Kind) -> int:
        if kind != EVENT:
            return 0
        async with self._granting:
            now = asyncio.get_running_loop().time()
            if self._uses_left <= 0 or now - self._granted_at > SHARED_SECONDS:
                self._lease = await self._storage.grant_lease(self._ttl + SHARED_SECONDS)
                self._uses_left = SHARED_OBJECTS
                self._granted_at = now
            self._uses_left -= 1
            return self._lease
