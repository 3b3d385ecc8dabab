"""Makes the store forget history, a period behind the present.

Every server wakes once a period, and one of them compacts: the one whose compare-and-swap on
`compact_rev_key` succeeds. It compacts to the revision that the key has told since the last period,
so that five minutes of history are always kept for lists and watches that go on. Source:
k8s.io/apiserver's storage/etcd3/compact.go.
"""

import asyncio
import logging

from podling.controlplane.apiserver.storage.interface import KeyValue, Storage, StorageError

log = logging.getLogger(__name__)

KEY = b"compact_rev_key"


class Compactor:
    """Run it as a task."""

    def __init__(self, storage: Storage, period: float) -> None:
        self._storage = storage
        self._period = period
        self._seen: KeyValue | None = None

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            try:
                await self.turn()
            except StorageError as error:
                log.warning("history was not compacted: %s", error)

    async def turn(self) -> None:
        """Compact if nobody has since the last turn; otherwise remember who did."""
        found = await self._storage.get(KEY)
        current = found.kv
        known = self._seen.mod_revision if self._seen else 0
        if (current.mod_revision if current else 0) != known:
            self._seen = current
            return
        result = await self._storage.put(KEY, b"%d" % found.revision, expected_revision=known)
        if not result.succeeded:
            self._seen = result.current
            return
        self._seen = (await self._storage.get(KEY)).kv
        if current is not None and current.value.isdigit():
            await self._storage.compact(int(current.value))
            log.info("history before revision %s is forgotten", current.value.decode())
