"""ReplicaSet: keeps a number of pods of one template."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from podling.controlplane.controllers import (
    batches,
    indexes,
    ownership,
    pod_ranking,
    pod_state,
)
from podling.controlplane.controllers.batches import FAILURES, Failure
from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.expectations import Expectations
from podling.controlplane.controllers.indexes import (
    CONTROLLER_INDEX,
    NAMESPACE_INDEX,
    by_controller,
    by_namespace,
)
from podling.controlplane.controllers.relations import Subscriptions
from podling.kube import conditions, generated_names, kinds, label_selectors, meta
from podling.kube.errors import Forbidden, NotFound
from podling.kube.event_recorder import NORMAL, WARNING
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, RequeueAfter, Result

BURST = 500
"""The most pods that are created or deleted in one go."""

REPLICA_FAILURE = "ReplicaFailure"


@dataclass(frozen=True, slots=True)
class ReplicaSetPlan:
    """What brings the number of pods nearer to what it should be."""

    create: int = 0
    delete: tuple[Object, ...] = ()


def plan_replica_set(
    replica_set: Object, mine: Sequence[Object], related: Sequence[Object], now: float
) -> ReplicaSetPlan:
    """`mine` are the pods of this one, `related` those of the whole workload."""
    if meta.is_deleting(replica_set):
        return ReplicaSetPlan()
    active = [pod for pod in mine if pod_state.is_active(pod)]
    missing = replica_set["spec"].get("replicas", 1) - len(active)
    if missing >= 0:
        return ReplicaSetPlan(create=min(missing, BURST))
    surplus = min(-missing, BURST)
    return ReplicaSetPlan(delete=tuple(pod_ranking.expendable(active, related, surplus, now)))


def plan_status(
    replica_set: Object, mine: Sequence[Object], failure: tuple[str, str] | None, now: float
) -> Object:
    """The status that tells the truth about `mine`; `failure` is (reason, message) of this pass."""
    spec, old = replica_set["spec"], replica_set.get("status") or {}
    active = [pod for pod in mine if pod_state.is_active(pod)]
    template_labels = meta.labels(spec["template"])
    wait = spec.get("minReadySeconds") or 0
    available = [pod_state.available_in(pod, wait, now) for pod in active]
    status: Object = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(
            template_labels.items() <= meta.labels(pod).items() for pod in active
        ),
        "readyReplicas": sum(seconds is not None for seconds in available),
        "availableReplicas": sum(seconds == 0 for seconds in available),
        "terminatingReplicas": sum(map(_is_terminating, mine)),
        "observedGeneration": meta.generation(replica_set),
    }
    listed = _conditions(old.get("conditions") or [], failure, now)
    if listed:
        status["conditions"] = listed
    # Zeros are left out, as Go does; only `replicas` is always there.
    return {field: value for field, value in status.items() if value or field == "replicas"}


def next_availability(replica_set: Object, mine: Sequence[Object], now: float) -> float | None:
    """Seconds until a ready pod becomes available, if one is on its way."""
    wait = replica_set["spec"].get("minReadySeconds") or 0
    times = (pod_state.available_in(pod, wait, now) for pod in mine if pod_state.is_active(pod))
    return min((seconds for seconds in times if seconds), default=None)


def pod_from_template(replica_set: Object, name: str) -> Object:
    """A pod of a ReplicaSet, as it is to be created."""
    template = replica_set["spec"]["template"]
    metadata: Object = {
        "name": name,
        "namespace": meta.namespace(replica_set),
        "generateName": f"{meta.name(replica_set)}-",
        "ownerReferences": [meta.controller_reference(replica_set)],
    }
    for field in ("labels", "annotations", "finalizers"):
        if value := meta.metadata(template).get(field):
            metadata[field] = value
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _is_terminating(pod: Object) -> bool:
    return meta.is_deleting(pod) and not pod_state.is_finished(pod)


def _conditions(old: list[Object], failure: tuple[str, str] | None, now: float) -> list[Object]:
    if failure is None:
        return [condition for condition in old if condition.get("type") != REPLICA_FAILURE]
    reason, message = failure
    return conditions.set_condition(old, REPLICA_FAILURE, "True", reason, message, now)


class ReplicaSetController:
    """Reconciles the keys of ReplicaSets."""

    name = "replicaset"

    def __init__(self, context: ControllerContext, workers: int) -> None:
        self._context = context
        self._replica_sets = context.informers.informer(kinds.REPLICA_SET)
        self._pods = context.informers.informer(kinds.POD)
        self._replica_sets.add_index(NAMESPACE_INDEX, by_namespace)
        for informer in (self._replica_sets, self._pods):
            informer.add_index(CONTROLLER_INDEX, by_controller)
        self._expectations = Expectations()
        self._reconciler = Reconciler(
            self.name, self._reconcile, context.backoff(), workers=workers
        )
        self._subscriptions = Subscriptions()

    async def start(self) -> None:
        enqueue = self._reconciler.enqueue
        await self._subscriptions.add(self._pods, self._observe)
        await self._subscriptions.relate(self._pods, self._interested, enqueue)
        await self._subscriptions.add(self._replica_sets, enqueue)
        await self._reconciler.start()

    async def stop(self) -> None:
        self._subscriptions.end()
        await self._reconciler.stop()

    def _observe(self, key: str) -> None:
        self._expectations.observe(key, self._pods.get(key))

    def _interested(self, pod: Object) -> list[str]:
        """The ReplicaSet that controls a pod, or those that might adopt it."""
        namespace, controller = meta.namespace(pod), meta.controller_of(pod)
        if controller is not None:
            if controller.get("kind") != kinds.REPLICA_SET.kind:
                return []
            return [meta.join_key(namespace, controller["name"])]
        return [
            meta.key(candidate)
            for candidate in self._replica_sets.by_index(NAMESPACE_INDEX, namespace)
            if _selector(candidate).matches(meta.labels(pod))
        ]

    async def _reconcile(self, key: str) -> Result:
        replica_set = self._replica_sets.get(key)
        if replica_set is None:
            self._expectations.forget(key)
            return DONE
        selector = _selector(replica_set)
        candidates = indexes.candidates(self._pods, replica_set)
        claims = ownership.claim(replica_set, selector, candidates)
        mine = claims.mine + await self._take_and_give(replica_set, claims)
        failure: Failure | None = None
        if not self._expectations.pending(key, asyncio.get_running_loop().time()):
            now = self._context.clock()
            related = self._related(replica_set, mine)
            plan = plan_replica_set(replica_set, mine, related, now)
            failure = await self._carry_out(key, replica_set, plan)
        await self._write_status(replica_set, mine, failure)
        if failure is not None:
            raise failure
        wait = next_availability(replica_set, mine, self._context.clock())
        return DONE if wait is None else RequeueAfter(wait)

    async def _take_and_give(self, replica_set: Object, claims: ownership.Claims) -> list[Object]:
        """Adopt and release; returns what was adopted."""
        adopted = []
        if claims.adopt:
            await self._confirm(replica_set)
        for pod in claims.adopt:
            adopted.append(await self._patch(pod, ownership.adoption_patch(pod, replica_set)))
        for pod in claims.release:
            await self._patch(pod, ownership.release_patch(pod, replica_set))
        return [pod for pod in adopted if pod is not None]

    async def _confirm(self, replica_set: Object) -> None:
        """Nothing is adopted by an owner that is gone already. Raises NotFound."""
        name, namespace = meta.name(replica_set), meta.namespace(replica_set)
        fresh = await self._context.client.get(kinds.REPLICA_SET, name, namespace)
        if meta.uid(fresh) != meta.uid(replica_set) or meta.is_deleting(fresh):
            raise NotFound(kind=kinds.REPLICA_SET, name=name)

    async def _patch(self, pod: Object, patch: Object) -> Object | None:
        name, namespace = meta.name(pod), meta.namespace(pod)
        try:
            return await self._context.client.patch(kinds.POD, name, patch, namespace)
        except NotFound:
            return None

    def _related(self, replica_set: Object, mine: Sequence[Object]) -> list[Object]:
        """Pods of all ReplicaSets that have the same controller."""
        controller = meta.controller_of(replica_set)
        if controller is None:
            return list(mine)
        siblings = self._replica_sets.by_index(CONTROLLER_INDEX, controller.get("uid", ""))
        return [
            pod
            for sibling in siblings
            for pod in self._pods.by_index(CONTROLLER_INDEX, meta.uid(sibling))
        ]

    async def _carry_out(
        self, key: str, replica_set: Object, plan: ReplicaSetPlan
    ) -> Failure | None:
        if plan.create:
            base = f"{meta.name(replica_set)}-"
            dice = self._context.dice
            fresh = [generated_names.generate(base, dice) for _ in range(plan.create)]

            async def create(name: str) -> None:
                await self._create(key, replica_set, name)

            return await batches.slow_start(fresh, create, self.name)

        async def delete(pod: Object) -> None:
            await self._delete(key, replica_set, pod)

        return await batches.all_of(plan.delete, delete, self.name)

    async def _create(self, key: str, replica_set: Object, name: str) -> None:
        pod_key = meta.join_key(meta.namespace(replica_set), name)
        self._expectations.expect_create(key, pod_key, asyncio.get_running_loop().time())
        try:
            await self._context.client.create(kinds.POD, pod_from_template(replica_set, name))
        except FAILURES as error:
            self._expectations.give_up(pod_key)
            if _is_namespace_going(error):
                return  # the ReplicaSet will follow
            self._record(replica_set, WARNING, "FailedCreate", f"Error creating: {error}")
            raise
        self._record(replica_set, NORMAL, "SuccessfulCreate", f"Created pod: {name}")

    async def _delete(self, key: str, replica_set: Object, pod: Object) -> None:
        pod_key, name = meta.key(pod), meta.name(pod)
        self._expectations.expect_delete(key, pod_key, asyncio.get_running_loop().time())
        try:
            await self._context.client.delete(
                kinds.POD, name, meta.namespace(pod), uid=meta.uid(pod)
            )
        except NotFound:
            self._expectations.give_up(pod_key)
            return
        except FAILURES as error:
            self._expectations.give_up(pod_key)
            self._record(replica_set, WARNING, "FailedDelete", f"Error deleting: {error}")
            raise
        self._record(replica_set, NORMAL, "SuccessfulDelete", f"Deleted pod: {name}")

    async def _write_status(
        self, replica_set: Object, mine: Sequence[Object], failure: Failure | None
    ) -> None:
        told = None if failure is None else ("FailedCreate", str(failure))
        status = plan_status(replica_set, mine, told, self._context.clock())
        if status == replica_set.get("status"):
            return
        await self._context.client.update(
            kinds.REPLICA_SET, {**replica_set, "status": status}, subresource="status"
        )

    def _record(self, about: Object, *what: Any) -> None:
        self._context.recorder.event(about, *what)


def _is_namespace_going(error: Failure) -> bool:
    """Nothing can be created in a namespace that is being deleted."""
    return isinstance(error, Forbidden) and any(
        cause.get("reason") == "NamespaceTerminating" for cause in error.causes
    )


def _selector(replica_set: Object) -> label_selectors.LabelSelector:
    return label_selectors.from_object(replica_set["spec"].get("selector") or {})
