"""The `/binding` of a Pod: the scheduler's decision becomes `spec.nodeName`."""

from podling.kube import conditions, errors, kinds, meta
from podling.kube.errors import FieldError
from podling.kube.meta import Object


def validate_binding(binding: Object) -> list[FieldError]:
    """What is wrong with a v1 Binding."""
    target = binding.get("target") or {}
    found = []
    if target.get("kind") not in (None, "", "Node"):
        text = (target["kind"], ("<empty>", "Node"))
        found.append(FieldError.not_supported("target.kind", *text))
    if not target.get("name"):
        found.append(FieldError.required("target.name"))
    return found


def bind(pod: Object, binding: Object, now: float) -> Object:
    """A copy of the pod bound to the binding's target, with its PodScheduled condition.

    Raises errors.Conflict if the pod is bound or being deleted, or if the binding is meant for
    another pod of that name or an older state of it.
    """
    name = meta.name(pod)
    node = binding["target"]["name"]
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    if meta.is_deleting(pod):
        raise _conflict(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _conflict(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _conflict(name, f"pod {name} has non-empty .spec.schedulingGates")
    for field, words in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        wanted, found = meta.metadata(binding).get(field), meta.metadata(pod).get(field)
        if wanted and wanted != found:
            text = f"Precondition failed: {words} in precondition: {wanted}, "
            raise _conflict(name, f"{text}{words} in object meta: {found}")
    metadata = dict(meta.metadata(pod))
    if added := meta.annotations(binding):
        metadata["annotations"] = {**meta.annotations(pod), **added}
    scheduled = conditions.set_condition(
        status.get("conditions") or [], "PodScheduled", "True", "", "", now
    )
    return {
        **pod,
        "metadata": metadata,
        "spec": {**spec, "nodeName": node},
        "status": {**status, "conditions": scheduled},
    }


def _conflict(name: str, message: str) -> errors.Conflict:
    return errors.Conflict(kind=kinds.POD, name=name, message=message)
