"""Eviction: pods leave nodes whose NoExecute taints they do not tolerate, when their time is up.

A pod on a node that can be reached is stopped in good order. On a node that cannot be reached
nobody is there to confirm it, so the pod is removed at once: its replacement should not wait for a
machine that may never come back. If the node does come back, its agent stops what it should not
run. Source: the Kubernetes document "Taints and Tolerations: taint based evictions".
"""

from dataclasses import dataclass

from podling.controlplane.controllers import pod_state, taints
from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.indexes import NODE_INDEX, by_node
from podling.controlplane.controllers.relations import Subscriptions
from podling.kube import kinds, meta, timestamps
from podling.kube.errors import Conflict, NotFound
from podling.kube.event_recorder import NORMAL
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, RequeueAfter, Result


@dataclass(frozen=True, slots=True)
class Eviction:
    """Delete the pod in `after` seconds (0: now); `force`: without waiting for its node."""

    after: float
    force: bool


def plan_eviction(pod: Object, node: Object, now: float) -> Eviction | None:
    """Whether and when a pod has to leave its node."""
    evicting = taints.of_effect(node, taints.NO_EXECUTE)
    force = any(taint.get("key") == taints.UNREACHABLE for taint in evicting)
    if meta.is_deleting(pod):
        if not force:
            return None
        due = timestamps.parse_time(meta.metadata(pod)["deletionTimestamp"])
        return Eviction(max(0.0, due - now), force=True)
    if not evicting or pod_state.is_finished(pod):
        return None
    tolerations = (pod.get("spec") or {}).get("tolerations") or ()
    time = taints.eviction_time(tolerations, evicting, now)
    return None if time is None else Eviction(max(0.0, time - now), force)


class TaintEvictionController:
    """Reconciles the keys of pods."""

    name = "taint-eviction"

    def __init__(self, context: ControllerContext, workers: int) -> None:
        self._context = context
        self._nodes = context.informers.informer(kinds.NODE)
        self._pods = context.informers.informer(kinds.POD)
        self._pods.add_index(NODE_INDEX, by_node)
        #: Nodes whose taints evict.
        self._evicting: set[str] = set()
        self._reconciler = Reconciler(
            self.name, self._reconcile, context.backoff(), workers=workers
        )
        self._subscriptions = Subscriptions()

    async def start(self) -> None:
        await self._subscriptions.add(self._nodes, self._node_changed)
        await self._subscriptions.add(self._pods, self._pod_changed)
        await self._reconciler.start()

    async def stop(self) -> None:
        self._subscriptions.end()
        await self._reconciler.stop()

    def _node_changed(self, name: str) -> None:
        node = self._nodes.get(name)
        if node is None or not taints.of_effect(node, taints.NO_EXECUTE):
            self._evicting.discard(name)
            return
        self._evicting.add(name)
        for key in self._pods.keys_by_index(NODE_INDEX, name):
            self._reconciler.enqueue(key)

    def _pod_changed(self, key: str) -> None:
        if not self._evicting:
            return
        pod = self._pods.get(key)
        if pod is not None and pod_state.node_name(pod) in self._evicting:
            self._reconciler.enqueue(key)

    async def _reconcile(self, key: str) -> Result:
        pod = self._pods.get(key)
        node = None if pod is None else self._nodes.get(pod_state.node_name(pod))
        if pod is None or node is None:
            return DONE
        eviction = plan_eviction(pod, node, self._context.clock())
        if eviction is None:
            return DONE
        if eviction.after > 0:
            return RequeueAfter(eviction.after)
        text = f"Marking for deletion Pod {key}"
        self._context.recorder.event(pod, NORMAL, "TaintManagerEviction", text)
        try:
            await self._context.client.delete(
                kinds.POD,
                meta.name(pod),
                meta.namespace(pod),
                grace_period_seconds=0 if eviction.force else None,
                uid=meta.uid(pod),
            )
        except (NotFound, Conflict):
            return DONE
        return DONE
