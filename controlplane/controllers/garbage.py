"""Garbage collection: what has lost all its owners is deleted.

    background   the owner is gone; its dependents are found without owner, and deleted
    foreground   the owner waits (finalizer foregroundDeletion) until its dependents are gone
    orphan       the owner waits (finalizer orphan) until its dependents no longer name it

A cache may be behind, so an owner counts as absent only when the API server says so.
Source: the Kubernetes document "Garbage collection", pkg/controller/garbagecollector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial

from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.owner_graph import FOREGROUND, ORPHAN, Node, OwnerGraph
from podling.controlplane.controllers.relations import Subscriptions
from podling.kube import kinds, meta
from podling.kube.errors import NotFound
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, Result

#: Written all the time and owned by nobody: not worth following.
_IGNORED = frozenset({kinds.EVENT})

ABSENT_REMEMBERED = 1000


class Owner(Enum):
    """What the API server says about an owner."""

    SOLID = "there, and staying"
    ABSENT = "not there"
    WAITING = "deleting its dependents before itself"


@dataclass(frozen=True, slots=True)
class GarbagePlan:
    """What to do with one object that has owners."""

    delete: str = ""
    """The propagation policy to delete it with; empty: it stays."""
    drop: frozenset[str] = frozenset()
    """Uids of owners that its references are to lose."""


def plan_dependent(node: Node, owners: dict[str, Owner], *, has_dependents: bool) -> GarbagePlan:
    """Decide about an object by the state of its owners (uid -> state)."""
    gone = frozenset(uid for uid, state in owners.items() if state is not Owner.SOLID)
    if node.deleting or not owners or not gone:
        return GarbagePlan()
    if len(gone) < len(owners):
        return GarbagePlan(drop=gone)
    if has_dependents and Owner.WAITING in owners.values():
        return GarbagePlan(delete="Foreground")
    if ORPHAN in node.finalizers:
        return GarbagePlan(delete="Orphan")
    if FOREGROUND in node.finalizers:
        return GarbagePlan(delete="Foreground")
    return GarbagePlan(delete="Background")


class GarbageCollector:
    """Reconciles uids."""

    name = "garbage"

    def __init__(self, context: ControllerContext, workers: int, served: Sequence[Kind]) -> None:
        self._context = context
        self._client = context.client
        self._kinds = [kind for kind in served if kind not in _IGNORED]
        self._informers = {kind: context.informers.informer(kind) for kind in self._kinds}
        self._graph = OwnerGraph()
        #: Uids of owners that were found to be gone, in order of time; no uid ever comes back.
        self._absent: dict[str, None] = {}
        self._reconciler = Reconciler(
            self.name, self._reconcile, context.backoff(), workers=workers
        )
        self._subscriptions = Subscriptions()

    async def start(self) -> None:
        for kind, informer in self._informers.items():
            await self._subscriptions.add(informer, partial(self.observe, kind))
        await self._reconciler.start()

    async def stop(self) -> None:
        self._subscriptions.end()
        await self._reconciler.stop()

    def observe(self, kind: Kind, key: str) -> None:
        """An object of a kind has changed."""
        for uid in self._graph.observe(kind, key, self._informers[kind].get(key)):
            self._reconciler.enqueue(uid)

    async def _reconcile(self, uid: str) -> Result:
        node = self._graph.get(uid)
        if node is None:
            return DONE
        try:
            if node.deleting and ORPHAN in node.finalizers:
                await self._orphan_dependents(node)
            elif node.is_deleting_dependents:
                await self._finish_foreground(node)
            elif node.owners:
                await self._check_owners(node)
        except NotFound:
            return DONE
        return DONE

    async def _check_owners(self, node: Node) -> None:
        obj = self._read(node)
        if obj is None:
            return
        references = meta.owner_references(obj)
        states = {
            reference.get("uid", ""): await self._state(reference, meta.namespace(obj))
            for reference in references
        }
        has_dependents = any(True for _ in self._graph.dependents(node.uid))
        plan = plan_dependent(node, states, has_dependents=has_dependents)
        if plan.drop:
            kept = [one for one in references if one.get("uid") not in plan.drop]
            await self._patch(node, {"ownerReferences": kept}, meta.resource_version(obj))
        if plan.delete:
            await self._delete(node, plan.delete, obj)

    async def _state(self, reference: Object, namespace: str) -> Owner:
        uid = reference.get("uid", "")
        known = self._graph.get(uid)
        if known is not None:
            return Owner.WAITING if known.is_deleting_dependents else Owner.SOLID
        kind = kinds.find_kind(reference.get("apiVersion", ""), reference.get("kind", ""))
        if kind is None:
            return Owner.SOLID  # nobody here can say that it is gone
        if uid in self._absent:
            return Owner.ABSENT
        try:
            owner = await self._client.get(
                kind, reference.get("name", ""), namespace if kind.namespaced else ""
            )
            if meta.uid(owner) == uid:
                return Owner.SOLID
        except NotFound:
            pass
        self._absent[uid] = None
        if len(self._absent) > ABSENT_REMEMBERED:
            del self._absent[next(iter(self._absent))]
        return Owner.ABSENT

    async def _finish_foreground(self, node: Node) -> None:
        """Let the owner go when nothing that blocks it is left; else see to what is left."""
        dependents = list(self._graph.dependents(node.uid))
        blocking = [dependent for dependent in dependents if node.uid in dependent.blocks]
        for dependent in dependents:
            if not dependent.deleting:
                self._reconciler.enqueue(dependent.uid)
        if not blocking:
            await self._drop_finalizer(node, FOREGROUND)

    async def _orphan_dependents(self, node: Node) -> None:
        for dependent in list(self._graph.dependents(node.uid)):
            obj = self._read(dependent)
            if obj is None:
                continue
            kept = [one for one in meta.owner_references(obj) if one.get("uid") != node.uid]
            await self._patch(dependent, {"ownerReferences": kept}, meta.resource_version(obj))
        await self._drop_finalizer(node, ORPHAN)

    async def _drop_finalizer(self, node: Node, finalizer: str) -> None:
        obj = self._read(node)
        if obj is None or finalizer not in meta.finalizers(obj):
            return
        kept = [one for one in meta.finalizers(obj) if one != finalizer]
        await self._patch(node, {"finalizers": kept}, meta.resource_version(obj))

    def _read(self, node: Node) -> Object | None:
        """The object as the cache has it; None if it is gone or another one by now.

        Whatever is done with it is conditional on its resourceVersion.
        """
        obj = self._informers[node.kind].get(node.key)
        return obj if obj is not None and meta.uid(obj) == node.uid else None

    async def _patch(self, node: Node, metadata: Object, resource_version: str) -> None:
        namespace, name = meta.split_key(node.key)
        conditional = {**metadata, "uid": node.uid, "resourceVersion": resource_version}
        try:
            await self._client.patch(node.kind, name, {"metadata": conditional}, namespace)
        except NotFound:
            return

    async def _delete(self, node: Node, policy: str, obj: Object) -> None:
        namespace, name = meta.split_key(node.key)
        try:
            await self._client.delete(
                node.kind,
                name,
                namespace,
                propagation_policy=policy,
                uid=node.uid,
                resource_version=meta.resource_version(obj),
            )
        except NotFound:
            return
