"""Validation of a pod spec, in a Pod and in a template."""

from podling.controlplane.apiserver.strategies import values_validation
from podling.controlplane.apiserver.strategies.container_validation import (
    PodContext,
    validate_containers,
)
from podling.controlplane.apiserver.strategies.metadata_validation import (
    validate_labels,
    validate_template_metadata,
)
from podling.controlplane.apiserver.strategies.volume_validation import validate_volumes
from podling.kube import names
from podling.kube.errors import FieldError
from podling.kube.meta import Object

RESTART_POLICIES = ("Always", "Never", "OnFailure")
DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
TAINT_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
TOLERATION_OPERATORS = ("Equal", "Exists")
WHEN_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")

MAX_DEADLINE = 2**31 - 1
_DEADLINE_TEXT = f"must be between 1 and {MAX_DEADLINE}, inclusive"


def validate_pod_template(template: Object, path: str) -> list[FieldError]:
    """A PodTemplateSpec."""
    spec = template.get("spec") or {}
    errors = validate_template_metadata(template, f"{path}.metadata")
    errors += validate_pod_spec(spec, f"{path}.spec", is_pod=False)
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        errors.append(FieldError.forbidden(f"{path}.spec.ephemeralContainers", text))
    return errors


def validate_pod_spec(spec: Object, path: str, *, is_pod: bool) -> list[FieldError]:
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    errors = validate_volumes(spec, path)
    errors += validate_containers(spec, path, PodContext(volumes, is_pod))
    for field, choices in (("restartPolicy", RESTART_POLICIES), ("dnsPolicy", DNS_POLICIES)):
        errors += values_validation.one_of(spec, field, choices, path)
    errors += validate_labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    errors += values_validation.not_negative(spec, "terminationGracePeriodSeconds", path)
    errors += validate_tolerations(spec, path)
    errors += _validate_names(spec, path)
    errors += _validate_spreading(spec, path)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_DEADLINE:
        where = f"{path}.activeDeadlineSeconds"
        errors.append(FieldError.invalid(where, deadline, _DEADLINE_TEXT))
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        errors += values_validation.address(alias.get("ip", ""), f"{path}.hostAliases[{index}].ip")
    return errors


def _validate_names(spec: Object, path: str) -> list[FieldError]:
    """Names of other objects, and those that become DNS labels."""
    errors = []
    for field in ("serviceAccountName", "nodeName", "priorityClassName", "schedulerName"):
        if value := spec.get(field):
            texts = names.dns_subdomain_errors(value)
            errors += [FieldError.invalid(f"{path}.{field}", value, text) for text in texts]
    for field in ("hostname", "subdomain"):
        if value := spec.get(field):
            errors += values_validation.dns_label(value, f"{path}.{field}")
    return errors


def validate_tolerations(spec: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        errors += _validate_toleration(toleration, f"{path}.tolerations[{index}]")
    return errors


def _validate_toleration(toleration: Object, path: str) -> list[FieldError]:
    key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
    effect, value = toleration.get("effect") or "", toleration.get("value") or ""
    errors = []
    if key:
        texts = names.qualified_name_errors(key)
        errors += [FieldError.invalid(f"{path}.key", key, text) for text in texts]
    elif operator != "Exists":
        text = (
            "operator must be Exists when `key` is empty, which means "
            '"match all values and all keys"'
        )
        errors.append(FieldError.invalid(f"{path}.operator", operator, text))
    if operator not in TOLERATION_OPERATORS:
        where = f"{path}.operator"
        errors.append(FieldError.not_supported(where, operator, TOLERATION_OPERATORS))
    elif operator == "Exists" and value:
        text = "value must be empty when `operator` is 'Exists'"
        errors.append(FieldError.invalid(f"{path}.operator", value, text))
    elif value:
        texts = names.label_value_errors(value)
        errors += [FieldError.invalid(f"{path}.operator", value, text) for text in texts]
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(FieldError.invalid(f"{path}.effect", effect, text))
    return errors + values_validation.maybe_one_of(toleration, "effect", TAINT_EFFECTS, path)


def _validate_spreading(spec: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        where = f"{path}.topologySpreadConstraints[{index}]"
        skew = constraint.get("maxSkew", 0)
        if skew <= 0:
            errors.append(FieldError.invalid(f"{where}.maxSkew", skew, "must be greater than zero"))
        if not constraint.get("topologyKey"):
            errors.append(FieldError.required(f"{where}.topologyKey", "can not be empty"))
        errors += values_validation.one_of(
            constraint, "whenUnsatisfiable", WHEN_UNSATISFIABLE, where
        )
        if (selector := constraint.get("labelSelector")) is not None:
            errors += values_validation.label_selector(selector, f"{where}.labelSelector")
    return errors
