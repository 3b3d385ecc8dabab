"""Ends streams that require a leader when there is none (etcd: api/v3rpc/interceptor.go)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from podling.controlplane.store import errors
from podling.controlplane.store.cluster_members import ClusterMembers
from podling.controlplane.store.watch_streams import WatchStream


class LeaderGuard:
    """Looks for a leader on behalf of any number of streams, with one timer for all."""

    def __init__(self, members: ClusterMembers, timeout: float) -> None:
        """Streams end after `timeout` seconds without a leader; it is not known at once."""
        self._members = members
        self._timeout = timeout
        self._streams: set[WatchStream] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._last_seen = 0.0

    @contextmanager
    def guarded(self, stream: WatchStream) -> Iterator[None]:
        """Within, the stream is closed with NoLeader when there is none."""
        self._streams.add(stream)
        if self._timer is None:
            self._last_seen = asyncio.get_running_loop().time()
            self._look()
        try:
            yield
        finally:
            self._streams.discard(stream)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if self._members.leader:
            self._last_seen = loop.time()
        elif loop.time() - self._last_seen >= self._timeout:
            for stream in tuple(self._streams):
                stream.close(errors.NoLeader())
        self._timer = loop.call_later(self._timeout / 4, self._look) if self._streams else None
