"""What may change in a pod that exists: images, deadline, more tolerations, scheduling gates.

The check compares the new spec with the old one after undoing in the new whatever is allowed;
any difference left is refused. Source: kube-apiserver's `ValidatePodUpdate`.
"""

from podling.controlplane.apiserver.strategies.pod_validation import MAX_DEADLINE
from podling.kube.errors import FieldError
from podling.kube.meta import Object

_IMMUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
    "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
    "(allow it to be set to 1 if it was previously negative)"
)
_TOLERATION = "existing toleration can not be modified except its tolerationSeconds"


def validate_pod_spec_update(new: Object, old: Object) -> list[FieldError]:
    """`new` and `old` are pod specs."""
    errors: list[FieldError] = []
    for field, word in (("containers", "containers"), ("initContainers", "init containers")):
        if len(new.get(field) or ()) != len(old.get(field) or ()):
            text = f"pod updates may not add or remove {word}"
            errors.append(FieldError.forbidden(f"spec.{field}", text))
    if errors:
        return errors
    errors += _validate_deadline(new, old)
    errors += _validate_tolerations(new, old)
    changed = sorted(
        field
        for field in {**new, **old}
        if _without_allowed(new, old, field) != (old.get(field) or None)
    )
    if changed:
        listed = ", ".join(f"spec.{field}" for field in changed)
        errors.append(FieldError.forbidden("spec", f"{_IMMUTABLE}\nchanged: {listed}"))
    return errors


def _without_allowed(new: Object, old: Object, field: str) -> object:
    """The value of a field of the new spec, with what may change as it was."""
    value = new.get(field) or None
    if field in ("activeDeadlineSeconds", "tolerations"):
        return old.get(field) or None
    if field in ("containers", "initContainers") and value is not None:
        pairs = zip(value, old.get(field) or (), strict=True)
        return [container | {"image": before.get("image")} for container, before in pairs]
    if field == "terminationGracePeriodSeconds" and value == 1 and (old.get(field) or 0) < 0:
        return old[field]
    if field == "schedulingGates" and not old.get("nodeName"):
        return _without_added_gates(value, old.get(field))
    return value


def _without_added_gates(value: list[Object] | None, old: list[Object] | None) -> object:
    """Gates may be taken away but not added."""
    if all(gate in (old or ()) for gate in value or ()):
        return old or None
    return value


def _validate_deadline(new: Object, old: Object) -> list[FieldError]:
    """It may be set, and shortened."""
    path = "spec.activeDeadlineSeconds"
    deadline, before = new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    if deadline is None:
        if before is None:
            return []
        text = "must not update from a positive integer to nil value"
        return [FieldError.invalid(path, deadline, text)]
    if not 1 <= deadline <= MAX_DEADLINE:
        return []  # reported by the validation of the spec
    if before is not None and deadline > before:
        text = "must be less than or equal to previous value"
        return [FieldError.invalid(path, deadline, text)]
    return []


def _validate_tolerations(new: Object, old: Object) -> list[FieldError]:
    now = [_without_seconds(toleration) for toleration in new.get("tolerations") or ()]
    if all(_without_seconds(toleration) in now for toleration in old.get("tolerations") or ()):
        return []
    return [FieldError.forbidden("spec.tolerations", _TOLERATION)]


def _without_seconds(toleration: Object) -> Object:
    return {field: value for field, value in toleration.items() if field != "tolerationSeconds"}
