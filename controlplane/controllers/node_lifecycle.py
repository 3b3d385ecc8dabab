"""Node lifecycle: a node that no longer renews its lease is unknown, tainted, and its pods unready.

    lease not renewed for the grace period   conditions become Unknown, pods Ready=False, taints
    lease renewed, agent says Ready          taints go; the agent makes its pods ready again

Silence is measured by our own steady clock from the last renewal that we saw, so that clocks of
machines need not agree. Before a node is declared silent its lease is read once more: this process
may have been the one that stood still. While every node is silent (it is more likely that we were
cut off) nobody is evicted.
Source: the Kubernetes document "Nodes: heartbeats", pkg/controller/nodelifecycle.
"""

import asyncio
import logging
from dataclasses import dataclass

from podling.controlplane.controllers import pod_state, taints
from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.indexes import NODE_INDEX, by_node
from podling.controlplane.controllers.relations import Subscriptions
from podling.kube import conditions, kinds, meta
from podling.kube.client import STRATEGIC_MERGE_PATCH
from podling.kube.errors import Conflict, NotFound
from podling.kube.event_recorder import NORMAL
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, RequeueAfter, Result

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
_REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_SILENT = "Kubelet stopped posting node status."
_NEVER = "Kubelet never posted node status."


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What a node should say; None where it says so already."""

    conditions: list[Object] | None = None
    taints: list[Object] | None = None


def plan_node(node: Object, *, silent: bool, evict: bool, now: float) -> NodePlan:
    """`silent`: its agent has not been heard for the grace period. `evict`: see `taints.wanted`."""
    status, spec = node.get("status") or {}, node.get("spec") or {}
    listed = list(status.get("conditions") or ())
    shown = listed
    if silent:
        for type_ in _REPORTED:
            shown = _unknown(shown, type_, now)
    judged = {**node, "status": {**status, "conditions": shown}}
    due = taints.wanted(judged, evict=evict, now=now)
    return NodePlan(
        conditions=shown if shown != listed else None,
        taints=due if due != list(spec.get("taints") or ()) else None,
    )


def _unknown(listed: list[Object], type_: str, now: float) -> list[Object]:
    known = conditions.find(listed, type_)
    if known is not None and known.get("status") == "Unknown":
        return listed
    reason, text = ("NodeStatusNeverUpdated", _NEVER)
    if known is not None:
        reason, text = ("NodeStatusUnknown", _SILENT)
    return conditions.set_condition(listed, type_, "Unknown", reason, text, now)


class NodeLifecycleController:
    """Reconciles the names of nodes."""

    name = "node-lifecycle"

    def __init__(self, context: ControllerContext, workers: int, grace: float) -> None:
        """`grace`: seconds without a renewal after which a node counts as silent."""
        self._context = context
        self._client = context.client
        self._grace = grace
        self._nodes = context.informers.informer(kinds.NODE)
        self._leases = context.informers.informer(kinds.LEASE)
        self._pods = context.informers.informer(kinds.POD)
        self._pods.add_index(NODE_INDEX, by_node)
        #: Node -> (last renewal as the lease says it, when we saw it by the loop's clock).
        self._renewals: dict[str, tuple[str, float]] = {}
        self._silent: set[str] = set()
        #: Silent nodes that were seen to say so: what they say otherwise, their agents say.
        self._declared: set[str] = set()
        self._reconciler = Reconciler(
            self.name, self._reconcile, context.backoff(), workers=workers
        )
        self._subscriptions = Subscriptions()

    async def start(self) -> None:
        await self._subscriptions.add(self._leases, self._lease_changed)
        await self._subscriptions.add(self._nodes, self._node_changed)
        await self._reconciler.start()

    async def stop(self) -> None:
        self._subscriptions.end()
        await self._reconciler.stop()

    def _lease_changed(self, key: str) -> None:
        namespace, name = meta.split_key(key)
        if namespace != LEASE_NAMESPACE:
            return
        lease = self._leases.get(key)
        if lease is not None and self._heard(name, lease) and name in self._silent:
            self._reconciler.enqueue(name)

    def _node_changed(self, name: str) -> None:
        """An agent that posts a status is alive, whether or not it has renewed its lease yet."""
        node = self._nodes.get(name)
        if node is not None and name in self._silent:
            if taints.ready_status(node) == "Unknown":
                self._declared.add(name)
            elif name in self._declared:
                renewed, _ = self._renewals.get(name, ("", 0.0))
                self._renewals[name] = renewed, asyncio.get_running_loop().time()
        self._reconciler.enqueue(name)

    def _heard(self, name: str, lease: Object) -> bool:
        """Take note of a lease; whether it was renewed since the last one."""
        renewed = (lease.get("spec") or {}).get("renewTime") or ""
        known = self._renewals.get(name)
        if known is not None and known[0] == renewed:
            return False
        self._renewals[name] = renewed, asyncio.get_running_loop().time()
        return True

    def _remaining(self, name: str) -> float:
        """Seconds until the node counts as silent; not above 0 if it does."""
        now = asyncio.get_running_loop().time()
        # Who has never been heard is given the grace period from when we first looked.
        _, seen = self._renewals.setdefault(name, ("", now))
        return seen + self._grace - now

    async def _reconcile(self, key: str) -> Result:
        node = self._nodes.get(key)
        if node is None:
            self._renewals.pop(key, None)
            self._silent.discard(key)
            self._declared.discard(key)
            return DONE
        remaining = self._remaining(key)
        if remaining <= 0 and not await self._is_heard_after_all(key):
            self._became_silent(key)
        else:
            self._became_audible(key)
        await self._apply(node, silent=key in self._silent)
        return RequeueAfter(max(self._remaining(key), self._grace / 4))

    async def _is_heard_after_all(self, name: str) -> bool:
        try:
            lease = await self._client.get(kinds.LEASE, name, LEASE_NAMESPACE)
        except NotFound:
            return False
        return self._heard(name, lease)

    def _became_silent(self, name: str) -> None:
        if name in self._silent:
            return
        log.warning("node %s has not been heard for %.1f s", name, self._grace)
        self._silent.add(name)
        self._reconsider_others(name)

    def _became_audible(self, name: str) -> None:
        if name in self._silent:
            log.info("node %s is heard again", name)
            self._silent.discard(name)
            self._declared.discard(name)
            self._reconsider_others(name)

    def _reconsider_others(self, name: str) -> None:
        """Whether to evict depends on all nodes together."""
        others = self._nodes.keys()
        for other in others:
            if other != name:
                self._reconciler.enqueue(other)

    def _may_evict(self) -> bool:
        names = self._nodes.keys()
        return any(name not in self._silent for name in names)

    async def _apply(self, node: Object, *, silent: bool) -> None:
        name, now = meta.name(node), self._context.clock()
        plan = plan_node(node, silent=silent, evict=self._may_evict(), now=now)
        if plan.conditions is not None:
            status = {**(node.get("status") or {}), "conditions": plan.conditions}
            node = await self._client.update(kinds.NODE, {**node, "status": status}, "status")
            self._context.recorder.event(
                node, NORMAL, "NodeNotReady", f"Node {name} status is now: NodeNotReady"
            )
        if plan.taints is not None:
            spec = {**(node.get("spec") or {}), "taints": plan.taints}
            await self._client.update(kinds.NODE, {**node, "spec": spec})
        if silent:
            await self._unready_pods(name, now)

    async def _unready_pods(self, node: str, now: float) -> None:
        """Services stop sending to pods that nobody can vouch for."""
        for pod in self._pods.by_index(NODE_INDEX, node):
            if not pod_state.is_ready(pod):
                continue
            listed = conditions.set_condition(
                (pod.get("status") or {}).get("conditions"),
                "Ready",
                "False",
                "NodeNotReady",
                "",
                now,
            )
            ready = conditions.find(listed, "Ready")
            patch = {"metadata": {"uid": meta.uid(pod)}, "status": {"conditions": [ready]}}
            try:
                await self._client.patch(
                    kinds.POD,
                    meta.name(pod),
                    patch,
                    meta.namespace(pod),
                    content_type=STRATEGIC_MERGE_PATCH,
                    subresource="status",
                )
            except (NotFound, Conflict):
                continue
