"""What a delete does to an object: remove it, mark it, or nothing. Pure.

    nothing holds the object                              it is removed
    finalizers, or a grace period (pods)                  it is marked with deletionTimestamp
    it is marked already                                  a shorter grace shortens, or nothing

A marked object is removed by whoever takes away what holds it: an update that empties its
finalizers, or the node agent's delete with a grace period of 0. Source: the Kubernetes documents
"Finalizers", "Garbage collection" and k8s.io/apiserver's registry/rest/delete.go.
"""

from dataclasses import dataclass

from podling.controlplane.apiserver.request.options import FOREGROUND, ORPHAN, DeleteOptions
from podling.kube import errors, meta, timestamps
from podling.kube.kinds import NAMESPACE, Kind
from podling.kube.meta import Object

FOREGROUND_FINALIZER = "foregroundDeletion"
ORPHAN_FINALIZER = "orphan"


@dataclass(frozen=True, slots=True)
class Remove:
    """Take it out of the store."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Write this state, and leave the rest to those who hold it."""

    marked: Object


@dataclass(frozen=True, slots=True)
class Keep:
    """It is as deleted as it can be for now."""


Deletion = Remove | Mark | Keep


def check_preconditions(kind: Kind, obj: Object, options: DeleteOptions) -> None:
    """Raises errors.Conflict if it is not the object, or not the state, that was meant."""
    for what, wanted, found in (
        ("UID", options.uid, meta.uid(obj)),
        ("ResourceVersion", options.resource_version, meta.resource_version(obj)),
    ):
        if wanted and wanted != found:
            raise errors.Conflict(
                kind=kind,
                name=meta.name(obj),
                message=(
                    f"Precondition failed: {what} in precondition: {wanted}, "
                    f"{what} in object meta: {found}"
                ),
            )


def holders(kind: Kind, obj: Object) -> list[str]:
    """Who must let go of a deleted object before it is removed."""
    held = meta.finalizers(obj)
    if kind == NAMESPACE:
        held += (obj.get("spec") or {}).get("finalizers") or []
    return held


def is_finished(kind: Kind, obj: Object) -> bool:
    """A marked object that nothing holds any more."""
    return (
        meta.is_deleting(obj)
        and not holders(kind, obj)
        and not obj["metadata"].get("deletionGracePeriodSeconds")
    )


def plan_deletion(
    kind: Kind, obj: Object, options: DeleteOptions, *, grace: int, now: float
) -> Deletion:
    """`grace` is what the kind's strategy says of this object and these options, in seconds.

    `obj` is the caller's to change.
    """
    metadata = obj["metadata"]
    finalizers = _propagate(meta.finalizers(obj), options.propagation_policy)
    changed = finalizers != meta.finalizers(obj)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if not meta.is_deleting(obj):
        if not grace and not holders(kind, obj):
            return Remove()
        metadata["deletionTimestamp"] = timestamps.format_time(now + grace)
        metadata["deletionGracePeriodSeconds"] = grace
        _count_generation(metadata)
        if kind == NAMESPACE:
            obj.setdefault("status", {})["phase"] = "Terminating"
        return Mark(obj)
    remaining = metadata.get("deletionGracePeriodSeconds") or 0
    if grace < remaining:
        began = timestamps.parse_time(metadata["deletionTimestamp"]) - remaining
        metadata["deletionTimestamp"] = timestamps.format_time(began + grace)
        metadata["deletionGracePeriodSeconds"] = grace
        changed = True
        _count_generation(metadata)
    if is_finished(kind, obj):
        return Remove()
    return Mark(obj) if changed else Keep()


def _propagate(finalizers: list[str], policy: str) -> list[str]:
    """The finalizers that make the garbage collector treat dependents as asked."""
    if not policy:
        return finalizers
    kept = [name for name in finalizers if name not in (FOREGROUND_FINALIZER, ORPHAN_FINALIZER)]
    added = {FOREGROUND: [FOREGROUND_FINALIZER], ORPHAN: [ORPHAN_FINALIZER]}.get(policy, [])
    return kept + added


def _count_generation(metadata: Object) -> None:
    if metadata.get("generation"):
        metadata["generation"] += 1
