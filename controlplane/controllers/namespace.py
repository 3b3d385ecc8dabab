"""Namespace deletion: everything in it goes, pods first, and then the namespace itself.

A namespace that is being deleted is held by its finalizer `kubernetes`. Its contents are deleted
kind by kind; while something is left (pods that are stopping, objects with finalizers) conditions
say what. When nothing is left the finalizer is taken away through `/finalize`.
Source: the Kubernetes document "Namespaces", pkg/controller/namespace/deletion.
"""

from collections.abc import Mapping, Sequence

from podling.controlplane.controllers import batches
from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.relations import Subscriptions
from podling.kube import conditions, kinds, meta
from podling.kube.errors import Conflict, NotFound
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, RequeueAfter, Result

FINALIZER = "kubernetes"
RECHECK = 0.5
"""Seconds between looks at what does not go away by itself."""
AT_A_TIME = 50
"""Deletions under way at once."""

CONTENT_REMAINING = "NamespaceContentRemaining"
FINALIZERS_REMAINING = "NamespaceFinalizersRemaining"


def deletion_order(served: Sequence[Kind]) -> list[Kind]:
    """Pods before what they may need while they stop; Events last, since deletions make some."""
    weight = {kinds.POD: -1, kinds.EVENT: 1}
    namespaced = [kind for kind in served if kind.namespaced and "delete" in kind.verbs]
    return sorted(namespaced, key=lambda kind: weight.get(kind, 0))


def plan_conditions(
    namespace: Object, remaining: Mapping[Kind, Sequence[Object]], now: float
) -> list[Object]:
    """What the namespace says about its deletion."""
    left = {kind: objects for kind, objects in remaining.items() if objects}
    listed = list((namespace.get("status") or {}).get("conditions") or [])
    counted = ", ".join(
        f"{kind.resource} has {len(objects)} resource instances" for kind, objects in left.items()
    )
    held: dict[str, int] = {}
    for objects in left.values():
        for obj in objects:
            for finalizer in meta.finalizers(obj):
                held[finalizer] = held.get(finalizer, 0) + 1
    named = ", ".join(f"{name} in {count} resource instances" for name, count in held.items())
    listed = _set(
        listed,
        CONTENT_REMAINING,
        f"Some resources are remaining: {counted}" if left else "",
        ("SomeResourcesRemain", "ContentRemoved", "All content successfully removed"),
        now,
    )
    return _set(
        listed,
        FINALIZERS_REMAINING,
        f"Some content in the namespace has finalizers remaining: {named}" if held else "",
        (
            "SomeFinalizersRemain",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
        now,
    )


def _set(
    listed: list[Object], type_: str, trouble: str, words: tuple[str, str, str], now: float
) -> list[Object]:
    bad, good, all_well = words
    if trouble:
        return conditions.set_condition(listed, type_, "True", bad, trouble, now)
    return conditions.set_condition(listed, type_, "False", good, all_well, now)


class NamespaceController:
    """Reconciles the names of namespaces."""

    name = "namespace"

    def __init__(self, context: ControllerContext, workers: int, served: Sequence[Kind]) -> None:
        self._context = context
        self._client = context.client
        self._order = deletion_order(served)
        self._namespaces = context.informers.informer(kinds.NAMESPACE)
        self._pods = context.informers.informer(kinds.POD)
        self._reconciler = Reconciler(
            self.name, self._reconcile, context.backoff(), workers=workers
        )
        self._subscriptions = Subscriptions()

    async def start(self) -> None:
        await self._subscriptions.add(self._namespaces, self._reconciler.enqueue)
        await self._subscriptions.add(self._pods, self._pod_changed)
        await self._reconciler.start()

    async def stop(self) -> None:
        self._subscriptions.end()
        await self._reconciler.stop()

    def _pod_changed(self, key: str) -> None:
        """The last pod that ends lets its namespace go on at once."""
        if self._pods.resource_version(key):
            return
        namespace, _ = meta.split_key(key)
        found = self._namespaces.get(namespace)
        if found is not None and meta.is_deleting(found):
            self._reconciler.enqueue(namespace)

    async def _reconcile(self, key: str) -> Result:
        namespace = self._namespaces.get(key)
        if namespace is None or not meta.is_deleting(namespace):
            return DONE
        if FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return DONE
        try:
            remaining = await self._delete_contents(key)
            if any(remaining.values()):
                await self._tell(namespace, remaining)
                return RequeueAfter(RECHECK)
            await self._finalize(namespace)
        except NotFound:
            return DONE
        return DONE

    async def _delete_contents(self, namespace: str) -> dict[Kind, list[Object]]:
        """Delete what there is; returns what has not gone. Kinds after remaining pods wait."""
        remaining: dict[Kind, list[Object]] = {}
        for kind in self._order:
            left = await self._delete_kind(kind, namespace)
            remaining[kind] = left
            if kind == kinds.POD and left:
                break
        return remaining

    async def _delete_kind(self, kind: Kind, namespace: str) -> list[Object]:
        found = (await self._client.list(kind, namespace)).items
        fresh = [obj for obj in found if not meta.is_deleting(obj)]
        if not fresh:
            return found

        async def delete(obj: Object) -> None:
            try:
                await self._client.delete(
                    kind,
                    meta.name(obj),
                    namespace,
                    uid=meta.uid(obj),
                    propagation_policy="Background",
                )
            except (NotFound, Conflict):
                return

        for start in range(0, len(fresh), AT_A_TIME):
            failure = await batches.all_of(fresh[start : start + AT_A_TIME], delete, self.name)
            if failure is not None:
                raise failure
        return (await self._client.list(kind, namespace)).items

    async def _tell(self, namespace: Object, remaining: Mapping[Kind, Sequence[Object]]) -> None:
        status = namespace.get("status") or {}
        listed = plan_conditions(namespace, remaining, self._context.clock())
        if listed == status.get("conditions"):
            return
        told = {**status, "phase": "Terminating", "conditions": listed}
        await self._client.update(kinds.NAMESPACE, {**namespace, "status": told}, "status")

    async def _finalize(self, namespace: Object) -> None:
        left = [one for one in namespace["spec"]["finalizers"] if one != FINALIZER]
        finalized = {**namespace, "spec": {**namespace["spec"], "finalizers": left}}
        await self._client.update(kinds.NAMESPACE, finalized, "finalize")
