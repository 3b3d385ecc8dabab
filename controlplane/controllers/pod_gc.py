"""Pods of nodes that no longer exist are removed: nobody is left to stop them.

Source: the Kubernetes document "Pod Lifecycle: garbage collection of Pods".
"""

from podling.controlplane.controllers import pod_state
from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.indexes import NODE_INDEX, by_node
from podling.controlplane.controllers.relations import Subscriptions
from podling.kube import kinds, meta
from podling.kube.errors import Conflict, NotFound
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, Result


class PodGcController:
    """Reconciles the names of nodes that pods are bound to."""

    name = "pod-gc"

    def __init__(self, context: ControllerContext, workers: int, quarantine: float) -> None:
        """`quarantine`: seconds that a missing node has to come back, under the same name."""
        self._client = context.client
        self._quarantine = quarantine
        self._nodes = context.informers.informer(kinds.NODE)
        self._pods = context.informers.informer(kinds.POD)
        self._pods.add_index(NODE_INDEX, by_node)
        self._reconciler = Reconciler(
            self.name, self._reconcile, context.backoff(), workers=workers
        )
        self._subscriptions = Subscriptions()

    async def start(self) -> None:
        await self._subscriptions.add(self._nodes, self._node_changed)
        await self._subscriptions.relate(self._pods, self._bound_to_nothing, self._node_changed)
        await self._reconciler.start()

    async def stop(self) -> None:
        self._subscriptions.end()
        await self._reconciler.stop()

    def _node_changed(self, name: str) -> None:
        if not self._nodes.resource_version(name):
            self._reconciler.enqueue_after(name, self._quarantine)

    def _bound_to_nothing(self, pod: Object) -> list[str]:
        node = pod_state.node_name(pod)
        return [node] if node and not self._nodes.resource_version(node) else []

    async def _reconcile(self, key: str) -> Result:
        pods = self._pods.by_index(NODE_INDEX, key)
        if not pods or self._nodes.resource_version(key):
            return DONE
        try:
            await self._client.get(kinds.NODE, key)
        except NotFound:
            for pod in pods:
                await self._remove(pod)
        return DONE

    async def _remove(self, pod: Object) -> None:
        name, namespace = meta.name(pod), meta.namespace(pod)
        try:
            await self._client.delete(
                kinds.POD, name, namespace, grace_period_seconds=0, uid=meta.uid(pod)
            )
        except (NotFound, Conflict):
            return
