"""How the ReplicaSets of a Deployment are scaled: by a rollout, or by a change of size. Pure.

A step never lets the number of pods exceed `replicas + maxSurge`, nor the number of available ones
fall below `replicas - maxUnavailable`. Worked example, 4 replicas, surge 1, unavailable 1, from
ReplicaSet o to n (spec/available):

    o 4/4                the new one is created with 1: five pods are allowed
    o 4/4  n 1/0         available 4 > 3: one old pod may go
    o 3/3  n 1/0         one more may come: 3 + 1 + 1 = 5
    o 3/3  n 2/0         available 3: nothing may go until a new pod is available
    o 3/3  n 2/1         ...

Source: the Kubernetes document "Deployments", pkg/controller/deployment (rolling.go, sync.go).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from podling.controlplane.controllers import revisions
from podling.kube import meta
from podling.kube.meta import Object

RECREATE, ROLLING_UPDATE = "Recreate", "RollingUpdate"


@dataclass(frozen=True, slots=True)
class Scale:
    """Give a ReplicaSet this many replicas."""

    replica_set: Object
    replicas: int

    @property
    def changes(self) -> bool:
        return self.replicas != size(self.replica_set)


@dataclass(frozen=True, slots=True)
class Limits:
    """A Deployment's size and how far a rollout may stray from it, in pods."""

    replicas: int
    surge: int
    unavailable: int

    @property
    def maximum(self) -> int:
        return self.replicas + self.surge

    @property
    def minimum(self) -> int:
        return self.replicas - self.unavailable


def limits(deployment: Object) -> Limits:
    """Percentages round in favour of moving: surge up, unavailable down, but never both to 0."""
    spec = deployment["spec"]
    replicas = spec.get("replicas", 1)
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == RECREATE:
        return Limits(replicas, 0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = _pods(rolling.get("maxSurge", 0), replicas, math.ceil)
    unavailable = _pods(rolling.get("maxUnavailable", 0), replicas, math.floor)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(replicas, surge, min(unavailable, replicas))


def _pods(value: Any, replicas: int, round_: Any) -> int:
    if isinstance(value, str):
        return int(round_(int(value.removesuffix("%")) * replicas / 100))
    return int(value)


def size(replica_set: Object) -> int:
    return int(replica_set["spec"].get("replicas", 1))


def available(replica_set: Object) -> int:
    return int((replica_set.get("status") or {}).get("availableReplicas", 0))


def pods(replica_set: Object) -> int:
    """As last counted, which may be more than there should be."""
    return int((replica_set.get("status") or {}).get("replicas", 0))


def total(replica_sets: Sequence[Object]) -> int:
    return sum(map(size, replica_sets))


def active(replica_sets: Sequence[Object]) -> list[Object]:
    return [one for one in replica_sets if size(one) > 0]


def new_size(deployment: Object, new: Object | None, old: Sequence[Object]) -> int:
    """How many replicas the new ReplicaSet may have now; None stands for one to be created."""
    bounds = limits(deployment)
    current = 0 if new is None else size(new)
    if (deployment["spec"].get("strategy") or {}).get("type") == RECREATE:
        return bounds.replicas
    if current >= bounds.replicas:
        return bounds.replicas
    room = bounds.maximum - current - total(old)
    return current + max(0, min(room, bounds.replicas - current))


def plan_rolling(deployment: Object, new: Object, old: Sequence[Object]) -> list[Scale]:
    """One step of a rolling update: first the new ReplicaSet, and if it stays, the old ones."""
    wanted = new_size(deployment, new, old)
    if wanted != size(new):
        return [Scale(new, wanted)]
    return plan_scale_down(deployment, new, old)


def plan_scale_down(deployment: Object, new: Object, old: Sequence[Object]) -> list[Scale]:
    """What the old ReplicaSets may give up: first pods that do not work anyway, then others."""
    bounds = limits(deployment)
    if not total(old):
        return []
    spare = total([new, *old]) - bounds.minimum - (size(new) - available(new))
    if spare <= 0:
        return []
    sizes = {meta.uid(one): size(one) for one in old}
    oldest_first = sorted(old, key=revisions.age_order)
    for one in oldest_first:
        broken = min(spare, max(0, size(one) - available(one)))
        sizes[meta.uid(one)] -= broken
        spare -= broken
    surplus = sum(map(available, [new, *old])) - bounds.minimum
    for one in oldest_first:
        going = max(0, min(surplus, sizes[meta.uid(one)]))
        sizes[meta.uid(one)] -= going
        surplus -= going
    scales = [Scale(one, sizes[meta.uid(one)]) for one in oldest_first]
    return [scale for scale in scales if scale.changes]


def is_resized(deployment: Object, replica_sets: Sequence[Object]) -> bool:
    """Whether the Deployment's size changed since its ReplicaSets were scaled."""
    wanted = deployment["spec"].get("replicas", 1)
    remembered = map(revisions.desired_replicas, active(replica_sets))
    return any(desired is not None and desired != wanted for desired in remembered)


def plan_resize(deployment: Object, new: Object | None, old: Sequence[Object]) -> list[Scale]:
    """A new size, or a paused Deployment: all ReplicaSets grow or shrink in proportion."""
    bounds = limits(deployment)
    everything = [*([new] if new else []), *old]
    only = _active_or_latest(new, old)
    if only is not None:
        return [Scale(only, bounds.replicas)]
    if new is not None and _is_saturated(new, bounds.replicas):
        return [Scale(one, 0) for one in active(old)]
    if (deployment["spec"].get("strategy") or {}).get("type") == RECREATE:
        return []
    return _proportional(deployment, active(everything), bounds)


def _active_or_latest(new: Object | None, old: Sequence[Object]) -> Object | None:
    """The one ReplicaSet that the size concerns, if it is one."""
    running = active([*([new] if new else []), *old])
    if len(running) == 1:
        return running[0]
    if running:
        return None
    if new is not None:
        return new
    return max(old, key=revisions.age_order, default=None)


def _is_saturated(new: Object, replicas: int) -> bool:
    return (
        size(new) == replicas
        and revisions.desired_replicas(new) == replicas
        and available(new) == replicas
    )


def _proportional(deployment: Object, running: list[Object], bounds: Limits) -> list[Scale]:
    """Larger ones take more of the difference; what rounding leaves goes to the first."""
    allowed = bounds.maximum if bounds.replicas > 0 else 0
    missing = allowed - total(running)
    newest_first = sorted(running, key=revisions.age_order, reverse=True)
    if missing < 0:
        newest_first.reverse()
    ordered = sorted(newest_first, key=size, reverse=True)
    added, wanted = 0, []
    for one in ordered:
        share = _share(deployment, one, bounds, missing - added) if missing else 0
        added += share
        wanted.append(size(one) + share)
    if wanted and missing:
        wanted[0] = max(0, wanted[0] + missing - added)
    return [Scale(one, count) for one, count in zip(ordered, wanted, strict=True)]


def _share(deployment: Object, one: Object, bounds: Limits, left: int) -> int:
    if bounds.replicas == 0:
        fraction = -size(one)
    else:
        status = deployment.get("status") or {}
        before = revisions.max_replicas(one) or status.get("replicas") or bounds.maximum
        fraction = _round(size(one) * bounds.maximum / before) - size(one)
    return min(fraction, left) if left > 0 else max(fraction, left)


def _round(value: float) -> int:
    """Halves away from zero, as Go does."""
    return math.floor(value + 0.5)
