"""Registers the node and keeps its Node object true.

The status is written when it changed (here or there: the node lifecycle controller may have called
the node dead) and otherwise once in minutes; that the node lives is said by its Lease.
"""

import asyncio
from collections.abc import Callable
from random import Random

from podling.aiokit.backoff import Backoff
from podling.aiokit.clock import WallClock
from podling.kube import kinds, meta
from podling.kube.client import Client
from podling.kube.errors import AlreadyExists, Conflict, NotFound
from podling.kube.informer import Informer
from podling.kube.meta import Object
from podling.kube.reconciler import Reconciler, RequeueAfter, Result
from podling.node.kubelet.registration import node_object
from podling.node.kubelet.registration.node_object import NodeReport

RETRY_CAP = 1.0
"""Seconds between two attempts to register, at most: a cluster may be starting beside us."""


class NodeStatus:
    """A component. `addressed` is set when the node knows its range of pod addresses."""

    name = "node-status"

    def __init__(
        self,
        client: Client,
        node: Informer,
        report: Callable[[], NodeReport],
        clock: WallClock,
        dice: Random,
        *,
        extra_labels: dict[str, str],
        interval: float,
    ) -> None:
        """`node`: the informer of this node alone; `interval`: seconds between idle reports."""
        self._client = client
        self._node = node
        self._report = report
        self._clock = clock
        self._labels = extra_labels
        self._interval = interval
        self._reported_at = 0.0
        self._uid = ""
        self._newest: Object | None = None
        self._followed = False
        """The informer had the Node; when it has not any more, it was deleted."""
        self.addressed = asyncio.Event()
        self.registered = asyncio.Event()
        self._reconciler = Reconciler(
            self.name, self._reconcile, Backoff(first=0.02, cap=RETRY_CAP, dice=dice)
        )
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def uid(self) -> str:
        """Of the Node object, once registered."""
        return self._uid

    @property
    def exists(self) -> bool:
        """Whether there is a Node object, as far as is known."""
        return self._newest is not None

    @property
    def pod_cidrs(self) -> tuple[str, ...]:
        """The node's ranges of pod addresses, once `addressed`."""
        spec = (self._newest or {}).get("spec") or {}
        return tuple(spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else []))

    async def start(self) -> None:
        self._unsubscribe = self._node.subscribe(self._reconciler.enqueue)
        self.changed()
        await self._reconciler.start()

    async def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        await self._reconciler.stop()

    def changed(self) -> None:
        """The report says something new."""
        self._reconciler.enqueue(self._report().name)

    async def _reconcile(self, name: str) -> Result:
        report = self._report()
        if not self.registered.is_set():
            await self._register(report)
        self._follow(self._node.get(name))
        if self._newest is not None:
            await self._write(self._newest, report)
        return RequeueAfter(self._interval)

    def _follow(self, node: Object | None) -> None:
        """Take what the informer has, unless our own write was answered with something newer."""
        if node is not None:
            self._followed = True
            self._see(node if self._newest is None else meta.newer(self._newest, node))
        elif self._followed:
            # Somebody deleted the Node on purpose; it comes back when the kubelet starts again.
            self._newest = None

    async def _register(self, report: NodeReport) -> None:
        now = self._clock()
        wanted: Object = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": report.name,
                "labels": node_object.labels(report) | self._labels,
            },
            "spec": {},
            "status": node_object.status(report, {}, now),
        }
        try:
            node = await self._client.create(kinds.NODE, wanted)
        except AlreadyExists:
            node = await self._client.get(kinds.NODE, report.name)
            missing = {
                key: value
                for key, value in wanted["metadata"]["labels"].items()
                if meta.labels(node).get(key) != value
            }
            if missing:
                patch = {"metadata": {"labels": missing}}
                node = await self._client.patch(kinds.NODE, report.name, patch)
        self._see(node)
        self.registered.set()

    def _see(self, node: Object) -> None:
        self._newest = node
        self._uid = meta.uid(node)
        if self.pod_cidrs:
            self.addressed.set()

    async def _write(self, node: Object, report: NodeReport) -> None:
        now = self._clock()
        old = node.get("status") or {}
        new = node_object.status(report, old, now)
        if not node_object.differs(old, new) and now - self._reported_at < self._interval:
            return
        # The resourceVersion guards what others wrote into the conditions.
        patch = {
            "metadata": {"resourceVersion": meta.resource_version(node)},
            "status": {key: value for key, value in new.items() if old.get(key) != value},
        }
        try:
            self._newest = await self._client.patch(
                kinds.NODE, report.name, patch, subresource="status"
            )
        except NotFound:
            self._newest = None
            return
        except Conflict:
            self._newest = await self._client.get(kinds.NODE, report.name)
            raise
        self._reported_at = now
