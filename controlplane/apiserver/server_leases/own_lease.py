"""The key of this API server, which lives as long as the server renews it.

The lease is granted anew each time, as kube-apiserver does: so a store will do that keeps no lease
alive on request, and each key shows by its revision that its server goes on (`silence`).
"""

from dataclasses import dataclass

from podling.controlplane.apiserver.server_leases import lease_keys
from podling.controlplane.apiserver.server_leases.lease_keys import Endpoint
from podling.controlplane.apiserver.storage.interface import Storage, Unavailable

ATTEMPTS = 3
"""How often the key is written if somebody else was quicker, who can only be here by mistake."""


@dataclass(frozen=True, slots=True)
class LeaseTimings:
    """In seconds; the first two are kube-apiserver's figures."""

    length: int = 15
    """After a server's death, its key stands for so long at most."""
    renewal: float = 10.0
    """Between two renewals, and two looks at the keys of the others."""
    withdrawal: float = 1.0
    """How long a server that stops waits for a store that may be gone already."""


class OwnLease:
    """Raises StorageError."""

    def __init__(self, endpoint: Endpoint, uid: str, length: int, storage: Storage) -> None:
        """`uid` tells this process from another, earlier or later, at the same `endpoint`."""
        self.endpoint = endpoint
        self.key = lease_keys.key(endpoint)
        self._value = lease_keys.value(endpoint, uid)
        self._length = length
        self._storage = storage
        self._revision = 0
        """Of the key, as far as is known."""

    async def renew(self) -> None:
        """Write the key, also in the place of an earlier life's."""
        lease = await self._storage.grant_lease(self._length)
        for _ in range(ATTEMPTS):
            result = await self._storage.put(
                self.key, self._value, expected_revision=self._revision, lease=lease
            )
            if result.succeeded:
                self._revision = result.revision
                return
            self._revision = result.current.mod_revision if result.current else 0
        raise Unavailable(f"another API server says that it is {self.endpoint}, too")

    async def remove(self) -> None:
        """Remove the key unless another process has taken it over, or it has died already."""
        found = (await self._storage.get(self.key)).kv
        if found is not None and found.value == self._value:
            await self._storage.delete(self.key, expected_revision=found.mod_revision)
