"""Says that the node is alive: renews its Lease in kube-node-lease.

One small write per interval; the node lifecycle controller watches `renewTime`. Source: Kubernetes
documentation, "Nodes", section "Node heartbeats".
"""

import asyncio
import logging
from collections.abc import Callable

from podling.aiokit.clock import WallClock
from podling.aiokit.tasks import TaskSet
from podling.kube import kinds
from podling.kube.client import Client
from podling.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from podling.kube.meta import Object
from podling.kube.timestamps import format_micro_time
from podling.kube.transport import TransportError

log = logging.getLogger(__name__)

NAMESPACE = "kube-node-lease"


class NodeLease:
    """A component, except that it is told the uid of its Node when it starts."""

    def __init__(
        self, client: Client, node_name: str, clock: WallClock, *, duration: float, interval: float
    ) -> None:
        """`duration` and `interval` in seconds; the first is what is promised in the Lease."""
        self._client = client
        self._node_name = node_name
        self._clock = clock
        self._duration = duration
        self._interval = interval
        self._lease: Object | None = None
        self._tasks = TaskSet("node-lease")

    async def start(self, node_uid: str, wanted: Callable[[], bool]) -> None:
        """`wanted`: whether there still is a Node to speak for."""
        self._tasks.spawn(self._renew_forever(node_uid, wanted), name="renew")

    async def stop(self) -> None:
        await self._tasks.close()

    async def _renew_forever(self, node_uid: str, wanted: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                if wanted():
                    async with asyncio.timeout(self._duration):
                        self._lease = await self._renew(node_uid)
            except (ApiError, TransportError, TimeoutError) as error:
                why = str(error) or "no API server answered in time"
                log.warning("cannot renew the lease of node %s: %s", self._node_name, why)
                self._lease = None
            # Beats that were missed are not made up for.
            due = max(due + self._interval, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _renew(self, node_uid: str) -> Object:
        try:
            if self._lease is None:
                self._lease = await self._client.get(kinds.LEASE, self._node_name, NAMESPACE)
            return await self._client.update(kinds.LEASE, self._filled(self._lease))
        except NotFound:
            return await self._create(node_uid)
        except Conflict:
            self._lease = await self._client.get(kinds.LEASE, self._node_name, NAMESPACE)
            return await self._client.update(kinds.LEASE, self._filled(self._lease))

    async def _create(self, node_uid: str) -> Object:
        owner = {
            "apiVersion": "v1",
            "kind": "Node",
            "name": self._node_name,
            "uid": node_uid,
        }
        lease: Object = {
            "apiVersion": kinds.LEASE.api_version,
            "kind": "Lease",
            "metadata": {
                "name": self._node_name,
                "namespace": NAMESPACE,
                "ownerReferences": [owner],
            },
            "spec": {},
        }
        try:
            return await self._client.create(kinds.LEASE, self._filled(lease))
        except AlreadyExists:
            return await self._client.get(kinds.LEASE, self._node_name, NAMESPACE)

    def _filled(self, lease: Object) -> Object:
        spec = {
            "holderIdentity": self._node_name,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "renewTime": format_micro_time(self._clock()),
        }
        return {**lease, "spec": {**(lease.get("spec") or {}), **spec}}
