"""Validation of a container's environment: `env` and `envFrom`."""

import re

from podling.kube import names
from podling.kube.errors import FieldError
from podling.kube.meta import Object

#: What a variable may take from the pod itself, besides single labels and annotations.
POD_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
    "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory",
    "requests.cpu", "requests.ephemeral-storage", "requests.memory",
)  # fmt: skip

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_NO_SOURCE = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` "
    "or `fileKeyRef`"
)
_TWO_SOURCES = "may not have more than one field specified at a time"


def validate_environment(container: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, variable in enumerate(container.get("env") or ()):
        errors += _validate_variable(variable, f"{path}.env[{index}]")
    for index, source in enumerate(container.get("envFrom") or ()):
        errors += _validate_source_of_many(source, f"{path}.envFrom[{index}]")
    return errors


def _validate_variable(variable: Object, path: str) -> list[FieldError]:
    name = variable.get("name") or ""
    errors = []
    if not name:
        errors.append(FieldError.required(f"{path}.name"))
    else:
        texts = names.environment_name_errors(name)
        errors += [FieldError.invalid(f"{path}.name", name, text) for text in texts]
    value_from = variable.get("valueFrom")
    if value_from is not None:
        where = f"{path}.valueFrom"
        if variable.get("value"):
            text = "may not be specified when `value` is not empty"
            errors.append(FieldError.invalid(where, "", text))
        errors += _validate_value_from(value_from, where)
    return errors


def _validate_value_from(source: Object, path: str) -> list[FieldError]:
    given = [field for field in _SOURCES if source.get(field) is not None]
    if len(given) != 1:
        return [FieldError.invalid(path, "", _TWO_SOURCES if given else _NO_SOURCE)]
    field = given[0]
    where, reference = f"{path}.{field}", source[field]
    if field == "fieldRef":
        return validate_pod_field(reference, where, POD_FIELDS)
    if field == "resourceFieldRef":
        return validate_resource_field(reference, where)
    if field in ("configMapKeyRef", "secretKeyRef"):
        return _validate_key_reference(reference, where)
    return []


def validate_pod_field(
    reference: Object, path: str, supported: tuple[str, ...]
) -> list[FieldError]:
    """A `fieldRef` of a variable or of a downward volume."""
    field = reference.get("fieldPath") or ""
    if not field:
        return [FieldError.required(f"{path}.fieldPath")]
    if _SUBSCRIPT.fullmatch(field) or field in supported:
        return []
    return [FieldError.not_supported(f"{path}.fieldPath", field, supported)]


def validate_resource_field(reference: Object, path: str) -> list[FieldError]:
    """A `resourceFieldRef` of a variable or of a downward volume."""
    resource = reference.get("resource") or ""
    if not resource:
        return [FieldError.required(f"{path}.resource")]
    if resource in RESOURCES or resource.startswith(("limits.hugepages-", "requests.hugepages-")):
        return []
    return [FieldError.not_supported(f"{path}.resource", resource, RESOURCES)]


def _validate_key_reference(reference: Object, path: str) -> list[FieldError]:
    errors = []
    if not reference.get("name"):
        errors.append(FieldError.required(f"{path}.name"))
    key = reference.get("key") or ""
    if not key:
        errors.append(FieldError.required(f"{path}.key"))
    else:
        texts = names.config_key_errors(key)
        errors += [FieldError.invalid(f"{path}.key", key, text) for text in texts]
    return errors


def _validate_source_of_many(source: Object, path: str) -> list[FieldError]:
    errors = []
    if prefix := source.get("prefix"):
        texts = names.environment_name_errors(prefix)
        errors += [FieldError.invalid(f"{path}.prefix", prefix, text) for text in texts]
    given = [field for field in ("configMapRef", "secretRef") if source.get(field) is not None]
    if not given:
        text = "must specify one of: `configMapRef` or `secretRef`"
        errors.append(FieldError.invalid(path, "", text))
    elif len(given) > 1:
        errors.append(FieldError.invalid(path, "", _TWO_SOURCES))
    elif not source[given[0]].get("name"):
        errors.append(FieldError.required(f"{path}.{given[0]}.name"))
    return errors
