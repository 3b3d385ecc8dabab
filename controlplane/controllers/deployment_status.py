"""What a Deployment says about itself: counts, availability, and whether its rollout moves. Pure.

The condition `Progressing` is what `kubectl rollout status` waits for:

    a ReplicaSet was created or found         True   NewReplicaSetCreated, FoundNewReplicaSet
    the counts move                           True   ReplicaSetUpdated
    all pods are of the template, available   True   NewReplicaSetAvailable
    nothing moved for the deadline            False  ProgressDeadlineExceeded

Source: pkg/controller/deployment (sync.go, progress.go), the texts included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podling.controlplane.controllers import rollout
from podling.kube import conditions, meta, timestamps
from podling.kube.meta import Object

AVAILABLE, PROGRESSING, REPLICA_FAILURE = "Available", "Progressing", "ReplicaFailure"

MINIMUM_AVAILABLE = "MinimumReplicasAvailable"
MINIMUM_UNAVAILABLE = "MinimumReplicasUnavailable"
CREATED, FOUND = "NewReplicaSetCreated", "FoundNewReplicaSet"
UPDATED, COMPLETE = "ReplicaSetUpdated", "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"


@dataclass(frozen=True, slots=True)
class Progress:
    """A `Progressing` condition that this pass itself gives rise to."""

    reason: str
    message: str
    status: str = "True"


def plan_status(
    deployment: Object,
    new: Object | None,
    old: Sequence[Object],
    now: float,
    progress: Progress | None = None,
    collisions: int | None = None,
) -> Object:
    """The status that is true of these ReplicaSets."""
    everything = [*([new] if new else []), *old]
    before = deployment.get("status") or {}
    counts = _counts(deployment, new, everything)
    listed = list(before.get("conditions") or [])
    listed = _available(deployment, counts, listed, now)
    if progress is not None:
        listed = set_condition(
            listed, PROGRESSING, progress.status, progress.reason, progress.message, now
        )
    listed = _progressing(deployment, new, counts, listed, now)
    listed = _failures(new, everything, listed)
    taken = before.get("collisionCount") if collisions is None else collisions
    # Zeros are left out, as Go does.
    status = {field: value for field, value in counts.items() if value}
    if taken is not None:
        status["collisionCount"] = taken
    status["conditions"] = listed
    return status


def seconds_to_deadline(deployment: Object, status: Object, now: float) -> float | None:
    """When to look again whether a rollout that stands still has missed its deadline."""
    deadline = deployment["spec"].get("progressDeadlineSeconds")
    condition = conditions.find(status.get("conditions"), PROGRESSING)
    if deadline is None or condition is None or is_complete(deployment, status):
        return None
    if condition.get("reason") in (TIMED_OUT, COMPLETE, PAUSED):
        return None
    return max(0.0, _last_update(condition) + float(deadline) - now) + 0.01


def is_complete(deployment: Object, status: Object) -> bool:
    """All pods there should be are of the current template and available, and no others exist."""
    wanted = deployment["spec"].get("replicas", 1)
    return all(
        status.get(field, 0) == wanted
        for field in ("updatedReplicas", "replicas", "availableReplicas")
    ) and status.get("observedGeneration", 0) >= meta.generation(deployment)


def set_condition(
    listed: Sequence[Object], type_: str, status: str, reason: str, message: str, now: float
) -> list[Object]:
    """Set a condition unless it has this status and reason already; its old message then stays."""
    known = conditions.find(listed, type_)
    if known is not None and (known.get("status"), known.get("reason")) == (status, reason):
        return list(listed)
    updated = {"lastUpdateTime": timestamps.format_time(now)}
    return conditions.set_condition(listed, type_, status, reason, message, now, extra=updated)


def _counts(deployment: Object, new: Object | None, everything: Sequence[Object]) -> Object:
    available = sum(map(rollout.available, everything))
    counted = [one.get("status") or {} for one in everything]
    return {
        "observedGeneration": meta.generation(deployment),
        "replicas": sum(map(rollout.pods, everything)),
        "updatedReplicas": 0 if new is None else rollout.pods(new),
        "readyReplicas": sum(status.get("readyReplicas", 0) for status in counted),
        "availableReplicas": available,
        "unavailableReplicas": max(0, rollout.total(everything) - available),
        "terminatingReplicas": sum(status.get("terminatingReplicas", 0) for status in counted),
    }


def _available(
    deployment: Object, counts: Object, listed: list[Object], now: float
) -> list[Object]:
    if counts["availableReplicas"] >= rollout.limits(deployment).minimum:
        text = "Deployment has minimum availability."
        return set_condition(listed, AVAILABLE, "True", MINIMUM_AVAILABLE, text, now)
    text = "Deployment does not have minimum availability."
    return set_condition(listed, AVAILABLE, "False", MINIMUM_UNAVAILABLE, text, now)


def _progressing(
    deployment: Object, new: Object | None, counts: Object, listed: list[Object], now: float
) -> list[Object]:
    deadline = deployment["spec"].get("progressDeadlineSeconds")
    if deadline is None:
        return [condition for condition in listed if condition.get("type") != PROGRESSING]
    if deployment["spec"].get("paused"):
        return listed  # time does not count while nothing may move
    known = conditions.find(listed, PROGRESSING)
    settled = counts["replicas"] == counts["updatedReplicas"]
    if settled and known is not None and known.get("reason") == COMPLETE:
        return listed  # it was done before, and losing a pod does not undo it
    subject = f'Deployment "{meta.name(deployment)}"'
    if new is not None:
        subject = f'ReplicaSet "{meta.name(new)}"'
    if is_complete(deployment, counts):
        text = f"{subject} has successfully progressed."
        return set_condition(listed, PROGRESSING, "True", COMPLETE, text, now)
    if _moves(deployment, counts):
        text = f"{subject} is progressing."
        return _renew(listed, UPDATED, text, now)
    if _is_late(known, deadline, now):
        text = f"{subject} has timed out progressing."
        return set_condition(listed, PROGRESSING, "False", TIMED_OUT, text, now)
    return listed


def _renew(listed: list[Object], reason: str, message: str, now: float) -> list[Object]:
    """Every move counts anew towards the deadline, also with the same reason."""
    updated = {"lastUpdateTime": timestamps.format_time(now)}
    return conditions.set_condition(
        listed, PROGRESSING, "True", reason, message, now, extra=updated
    )


def _moves(deployment: Object, counts: Object) -> bool:
    before = deployment.get("status") or {}
    old_before = before.get("replicas", 0) - before.get("updatedReplicas", 0)
    old_now = counts["replicas"] - counts["updatedReplicas"]
    return old_now < old_before or any(
        counts[field] > before.get(field, 0)
        for field in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )


def _is_late(condition: Mapping[str, Any] | None, deadline: int, now: float) -> bool:
    if condition is None or condition.get("reason") in (COMPLETE, PAUSED):
        return False  # nothing has begun
    return condition.get("reason") == TIMED_OUT or _last_update(condition) + deadline < now


def _last_update(condition: Mapping[str, Any]) -> float:
    text = condition.get("lastUpdateTime")
    return timestamps.parse_time(text) if text else 0.0


def _failures(
    new: Object | None, everything: Sequence[Object], listed: list[Object]
) -> list[Object]:
    """Repeat what keeps a ReplicaSet from making pods, the new one's trouble first."""
    kept = [condition for condition in listed if condition.get("type") != REPLICA_FAILURE]
    for one in everything:
        status = one.get("status") or {}
        failure = conditions.find(status.get("conditions"), REPLICA_FAILURE)
        if failure is not None:
            since = failure.get("lastTransitionTime")
            return [*kept, {**failure, "lastUpdateTime": since}]
    return kept
