"""Deployment: rolls from one template to the next over ReplicaSets."""

from collections.abc import Sequence
from dataclasses import dataclass

from podling.controlplane.controllers import (
    deployment_status,
    indexes,
    ownership,
    pod_state,
    revisions,
    rollout,
)
from podling.controlplane.controllers.context import ControllerContext
from podling.controlplane.controllers.deployment_status import Progress
from podling.controlplane.controllers.indexes import (
    CONTROLLER_INDEX,
    NAMESPACE_INDEX,
    by_controller,
    by_namespace,
)
from podling.controlplane.controllers.relations import Subscriptions
from podling.controlplane.controllers.rollout import RECREATE, Scale
from podling.kube import kinds, label_selectors, meta
from podling.kube.errors import AlreadyExists, Conflict, NotFound
from podling.kube.event_recorder import NORMAL
from podling.kube.meta import Object
from podling.kube.reconciler import DONE, Reconciler, RequeueAfter, Result


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """The next step of a Deployment."""

    create: Object | None = None
    """The ReplicaSet of its template, which does not exist yet."""
    scale: tuple[Scale, ...] = ()
    delete: tuple[Object, ...] = ()
    """ReplicaSets beyond the history limit."""
    revision: int = 0
    """Of the current template; 0 if it has no ReplicaSet and gets none now."""


def plan_deployment(
    deployment: Object, replica_sets: Sequence[Object], old_pods_running: bool
) -> DeploymentPlan:
    """`old_pods_running`: pods of other templates than the current one have not ended."""
    new = revisions.find_new(deployment, replica_sets)
    old = [one for one in replica_sets if new is None or meta.uid(one) != meta.uid(new)]
    revision = revisions.next_revision(old)
    known = 0 if new is None else max(revision, revisions.revision_of(new))
    if meta.is_deleting(deployment):
        return DeploymentPlan()
    spec = deployment["spec"]
    if spec.get("paused") or rollout.is_resized(deployment, replica_sets):
        scale = tuple(rollout.plan_resize(deployment, new, old))
        expired = revisions.expired(deployment, old) if spec.get("paused") else []
        return DeploymentPlan(scale=scale, delete=tuple(expired), revision=known)
    if _recreates(deployment):
        emptied = tuple(Scale(one, 0) for one in rollout.active(old))
        if emptied or old_pods_running:
            return DeploymentPlan(scale=emptied, revision=known)
    if new is None:
        replicas = rollout.new_size(deployment, None, old)
        status = deployment.get("status") or {}
        made = revisions.new_replica_set(
            deployment,
            replicas,
            rollout.limits(deployment).maximum,
            revision,
            status.get("collisionCount", 0),
        )
        return DeploymentPlan(create=made, revision=revision)
    steps = rollout.plan_rolling(deployment, new, old)
    status = deployment.get("status") or {}
    done = not steps and deployment_status.is_complete(deployment, status)
    expired = revisions.expired(deployment, old) if done else []
    return DeploymentPlan(scale=tuple(steps), delete=tuple(expired), revision=known)


class DeploymentController:
    """Reconciles the keys of Deployments."""

    name = "deployment"

    def __init__(self, context: ControllerContext, workers: int) -> None:
        self._context = context
        self._client = context.client
        self._deployments = context.informers.informer(kinds.DEPLOYMENT)
        self._replica_sets = context.informers.informer(kinds.REPLICA_SET)
        self._pods = context.informers.informer(kinds.POD)
        self._deployments.add_index(NAMESPACE_INDEX, by_namespace)
        for informer in (self._replica_sets, self._pods):
            informer.add_index(CONTROLLER_INDEX, by_controller)
        self._reconciler = Reconciler(
            self.name, self._reconcile, context.backoff(), workers=workers
        )
        self._subscriptions = Subscriptions()

    async def start(self) -> None:
        enqueue = self._reconciler.enqueue
        await self._subscriptions.relate(self._replica_sets, self._interested, enqueue)
        await self._subscriptions.relate(self._pods, self._waiting_for, enqueue)
        await self._subscriptions.add(self._deployments, enqueue)
        await self._reconciler.start()

    async def stop(self) -> None:
        self._subscriptions.end()
        await self._reconciler.stop()

    def _interested(self, replica_set: Object) -> list[str]:
        """The Deployment that controls a ReplicaSet, or those that might adopt it."""
        namespace, controller = meta.namespace(replica_set), meta.controller_of(replica_set)
        if controller is not None:
            if controller.get("kind") != kinds.DEPLOYMENT.kind:
                return []
            return [meta.join_key(namespace, controller["name"])]
        return [
            meta.key(candidate)
            for candidate in self._deployments.by_index(NAMESPACE_INDEX, namespace)
            if _selector(candidate).matches(meta.labels(replica_set))
        ]

    def _waiting_for(self, pod: Object) -> list[str]:
        """A Deployment that recreates goes on when the last old pod has ended."""
        controller = meta.controller_of(pod)
        if controller is None or controller.get("kind") != kinds.REPLICA_SET.kind:
            return []
        key = meta.join_key(meta.namespace(pod), controller["name"])
        replica_set = self._replica_sets.get(key)
        owner = None if replica_set is None else meta.controller_of(replica_set)
        if owner is None:
            return []
        deployment = self._deployments.get(meta.join_key(meta.namespace(pod), owner["name"]))
        return [meta.key(deployment)] if deployment and _recreates(deployment) else []

    async def _reconcile(self, key: str) -> Result:
        deployment = self._deployments.get(key)
        if deployment is None:
            return DONE
        replica_sets = await self._claim(deployment)
        plan = plan_deployment(
            deployment, replica_sets, self._old_pods_running(deployment, replica_sets)
        )
        replica_sets, progress = await self._carry_out(deployment, replica_sets, plan)
        await self._number(deployment, plan.revision)
        return await self._write_status(deployment, replica_sets, progress)

    async def _claim(self, deployment: Object) -> list[Object]:
        """The ReplicaSets of a Deployment, after adopting and releasing."""
        candidates = indexes.candidates(self._replica_sets, deployment)
        claims = ownership.claim(deployment, _selector(deployment), candidates)
        mine = list(claims.mine)
        for one in claims.adopt:
            patch = ownership.adoption_patch(one, deployment)
            mine.append(await self._patch(one, patch))
        for one in claims.release:
            await self._patch(one, ownership.release_patch(one, deployment))
        return mine

    async def _patch(self, replica_set: Object, patch: Object) -> Object:
        name, namespace = meta.name(replica_set), meta.namespace(replica_set)
        return await self._client.patch(kinds.REPLICA_SET, name, patch, namespace)

    def _old_pods_running(self, deployment: Object, replica_sets: Sequence[Object]) -> bool:
        """Asked for a Deployment that recreates only: the others do not wait for it."""
        if not _recreates(deployment):
            return False
        new = revisions.find_new(deployment, replica_sets)
        return any(
            not pod_state.is_finished(pod)
            for one in replica_sets
            if new is None or meta.uid(one) != meta.uid(new)
            for pod in self._pods.by_index(CONTROLLER_INDEX, meta.uid(one))
        )

    async def _carry_out(
        self, deployment: Object, replica_sets: Sequence[Object], plan: DeploymentPlan
    ) -> tuple[list[Object], Progress | None]:
        """Do what the plan says; returns the ReplicaSets as they are then."""
        now: dict[str, Object] = {meta.uid(one): one for one in replica_sets}
        progress: Progress | None = None
        if plan.create is not None:
            created, progress = await self._create(deployment, plan.create)
            now[meta.uid(created)] = created
        for scale in plan.scale:
            scaled = await self._scale(deployment, scale)
            now[meta.uid(scaled)] = scaled
        new = revisions.find_new(deployment, list(now.values()))
        if new is not None and plan.create is None and not meta.is_deleting(deployment):
            renewed = await self._renew(deployment, new, plan.revision)
            now[meta.uid(renewed)] = renewed
        for one in plan.delete:
            await self._delete(one)
            now.pop(meta.uid(one), None)
        return list(now.values()), progress

    async def _create(self, deployment: Object, made: Object) -> tuple[Object, Progress]:
        name = meta.name(made)
        try:
            created = await self._client.create(kinds.REPLICA_SET, made)
        except AlreadyExists:
            # Ours, if the cache is merely behind; somebody else's, if the hash has a twin.
            created = await self._client.get(kinds.REPLICA_SET, name, meta.namespace(deployment))
            same = revisions.has_template(created, deployment["spec"]["template"])
            if not meta.is_controlled_by(created, deployment) or not same:
                await self._count_collision(deployment)
                raise
            return created, Progress(deployment_status.FOUND, f'Found new replica set "{name}"')
        replicas = rollout.size(created)
        if replicas:
            self._tell_scaled(deployment, name, 0, replicas)
        return created, Progress(deployment_status.CREATED, f'Created new replica set "{name}"')

    async def _count_collision(self, deployment: Object) -> None:
        status = dict(deployment.get("status") or {})
        status["collisionCount"] = status.get("collisionCount", 0) + 1
        await self._client.update(
            kinds.DEPLOYMENT, {**deployment, "status": status}, subresource="status"
        )

    async def _scale(self, deployment: Object, scale: Scale) -> Object:
        one, before = scale.replica_set, rollout.size(scale.replica_set)
        bounds = rollout.limits(deployment)
        annotations = {
            **meta.annotations(one),
            **revisions.sizes(bounds.replicas, bounds.maximum),
        }
        if not scale.changes and annotations == meta.annotations(one):
            return one
        updated = await self._client.update(
            kinds.REPLICA_SET,
            {
                **one,
                "metadata": {**meta.metadata(one), "annotations": annotations},
                "spec": {**one["spec"], "replicas": scale.replicas},
            },
        )
        if scale.changes:
            self._tell_scaled(deployment, meta.name(one), before, scale.replicas)
        return updated

    def _tell_scaled(self, deployment: Object, name: str, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        text = f"Scaled {direction} replica set {name} from {before} to {after}"
        self._context.recorder.event(deployment, NORMAL, "ScalingReplicaSet", text)

    async def _renew(self, deployment: Object, new: Object, revision: int) -> Object:
        """Bring what the Deployment says of its current ReplicaSet up to date."""
        annotations = revisions.annotations_for(deployment, meta.annotations(new), revision)
        wait = deployment["spec"].get("minReadySeconds") or 0
        same_wait = (new["spec"].get("minReadySeconds") or 0) == wait
        if annotations == meta.annotations(new) and same_wait:
            return new
        metadata = {**meta.metadata(new), "annotations": annotations}
        spec = new["spec"] if same_wait else {**new["spec"], "minReadySeconds": wait}
        return await self._client.update(
            kinds.REPLICA_SET, {**new, "metadata": metadata, "spec": spec}
        )

    async def _delete(self, replica_set: Object) -> None:
        try:
            await self._client.delete(
                kinds.REPLICA_SET,
                meta.name(replica_set),
                meta.namespace(replica_set),
                uid=meta.uid(replica_set),
                propagation_policy="Background",
            )
        except (NotFound, Conflict):
            return  # gone, or another one by now

    async def _number(self, deployment: Object, revision: int) -> None:
        """Write the current revision into the Deployment, for people and for `kubectl rollout`."""
        if not revision or revisions.revision_of(deployment) == revision:
            return
        patch = {"metadata": {"annotations": {revisions.REVISION: str(revision)}}}
        patched = await self._client.patch(
            kinds.DEPLOYMENT, meta.name(deployment), patch, meta.namespace(deployment)
        )
        if meta.generation(patched) == meta.generation(deployment):
            deployment["metadata"] = patched["metadata"]

    async def _write_status(
        self, deployment: Object, replica_sets: Sequence[Object], progress: Progress | None
    ) -> Result:
        now = self._context.clock()
        new = revisions.find_new(deployment, replica_sets)
        old = [one for one in replica_sets if new is None or meta.uid(one) != meta.uid(new)]
        progress = progress or _pause_progress(deployment, new)
        status = deployment_status.plan_status(deployment, new, old, now, progress)
        if status != deployment.get("status"):
            await self._client.update(
                kinds.DEPLOYMENT, {**deployment, "status": status}, subresource="status"
            )
        wait = deployment_status.seconds_to_deadline(deployment, status, now)
        return DONE if wait is None else RequeueAfter(wait)


def _pause_progress(deployment: Object, new: Object | None) -> Progress | None:
    """What pausing, resuming or finding a ReplicaSet says about progress."""
    if deployment["spec"].get("progressDeadlineSeconds") is None:
        return None
    listed = (deployment.get("status") or {}).get("conditions") or ()
    known = next((one for one in listed if one.get("type") == "Progressing"), None)
    paused = deployment["spec"].get("paused", False)
    if known is not None and known.get("reason") == deployment_status.TIMED_OUT:
        return None
    if paused:
        return Progress(deployment_status.PAUSED, "Deployment is paused", "Unknown")
    if known is not None and known.get("reason") == deployment_status.PAUSED:
        return Progress(deployment_status.RESUMED, "Deployment is resumed", "Unknown")
    if known is None and new is not None:
        return Progress(deployment_status.FOUND, f'Found new replica set "{meta.name(new)}"')
    return None


def _recreates(deployment: Object) -> bool:
    return (deployment["spec"].get("strategy") or {}).get("type") == RECREATE


def _selector(deployment: Object) -> label_selectors.LabelSelector:
    return label_selectors.from_object(deployment["spec"].get("selector") or {})
