"""Validation of a pod's volumes."""

from podling.controlplane.apiserver.strategies import environment_validation, values_validation
from podling.controlplane.apiserver.strategies.container_validation import relative_path
from podling.controlplane.apiserver.strategies.resource_validation import validate_quantity
from podling.kube import names
from podling.kube.errors import FieldError
from podling.kube.meta import Object

_VOLUME_FIELDS = (
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
    "metadata.uid",
)  # fmt: skip
_PROJECTIONS = ("secret", "configMap", "downwardAPI", "serviceAccountToken",
                "clusterTrustBundle", "podCertificate")  # fmt: skip
_MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"


def validate_volumes(spec: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        where = f"{path}.volumes[{index}]"
        name = volume.get("name") or ""
        errors += values_validation.required_dns_label(name, f"{where}.name")
        if name in seen:
            errors.append(FieldError.duplicate(f"{where}.name", name))
        seen.add(name)
        errors += _validate_source(volume, where)
    return errors


def _validate_source(volume: Object, path: str) -> list[FieldError]:
    given = [field for field, value in volume.items() if field != "name" and value is not None]
    if not given:
        return [FieldError.required(path, "must specify a volume type")]
    text = "may not specify more than 1 volume type"
    errors = [FieldError.forbidden(f"{path}.{field}", text) for field in given[1:]]
    field = given[0]
    source, where = volume[field], f"{path}.{field}"
    match field:
        case "secret":
            errors += _required(source, "secretName", where)
            errors += _validate_files(source, where)
        case "configMap":
            errors += _required(source, "name", where)
            errors += _validate_files(source, where)
        case "downwardAPI":
            errors += _validate_downward(source, where)
        case "projected":
            errors += _validate_projected(source, where)
        case "hostPath":
            errors += _validate_host_path(source, where)
        case "emptyDir":
            if (limit := source.get("sizeLimit")) is not None:
                errors += validate_quantity(limit, f"{where}.sizeLimit")
        case "persistentVolumeClaim":
            errors += _required(source, "claimName", where)
    return errors


def _required(source: Object, field: str, path: str) -> list[FieldError]:
    return [] if source.get(field) else [FieldError.required(f"{path}.{field}")]


def _validate_host_path(source: Object, path: str) -> list[FieldError]:
    value = source.get("path") or ""
    if not value:
        return [FieldError.required(f"{path}.path")]
    if ".." in value.split("/"):
        return [FieldError.invalid(f"{path}.path", value, "must not contain '..'")]
    return []


def _validate_mode(holder: Object, field: str, path: str) -> list[FieldError]:
    mode = holder.get(field)
    if mode is None or 0 <= mode <= 0o777:
        return []
    return [FieldError.invalid(f"{path}.{field}", mode, _MODE_TEXT)]


def _validate_files(source: Object, path: str) -> list[FieldError]:
    """Keys of a ConfigMap or Secret that become files."""
    errors = _validate_mode(source, "defaultMode", path)
    for index, item in enumerate(source.get("items") or ()):
        where = f"{path}.items[{index}]"
        key = item.get("key") or ""
        if not key:
            errors.append(FieldError.required(f"{where}.key"))
        else:
            texts = names.config_key_errors(key)
            errors += [FieldError.invalid(f"{where}.key", key, text) for text in texts]
        errors += _validate_file(item, where)
    return errors


def _validate_file(item: Object, path: str) -> list[FieldError]:
    target = item.get("path") or ""
    errors = relative_path(target, f"{path}.path") if target else _required(item, "path", path)
    return errors + _validate_mode(item, "mode", path)


def _validate_downward(source: Object, path: str) -> list[FieldError]:
    errors = _validate_mode(source, "defaultMode", path)
    for index, item in enumerate(source.get("items") or ()):
        where = f"{path}.items[{index}]"
        errors += _validate_file(item, where)
        if (field := item.get("fieldRef")) is not None:
            errors += environment_validation.validate_pod_field(
                field, f"{where}.fieldRef", _VOLUME_FIELDS
            )
        elif (resource := item.get("resourceFieldRef")) is not None:
            errors += environment_validation.validate_resource_field(
                resource, f"{where}.resourceFieldRef"
            )
        else:
            text = "one of fieldRef and resourceFieldRef is required"
            errors.append(FieldError.required(f"{where}.fieldRef", text))
    return errors


def _validate_projected(source: Object, path: str) -> list[FieldError]:
    errors = _validate_mode(source, "defaultMode", path)
    for index, projection in enumerate(source.get("sources") or ()):
        where = f"{path}.sources[{index}]"
        given = [field for field in _PROJECTIONS if projection.get(field) is not None]
        if not given:
            errors.append(FieldError.required(where, "must specify a volume type"))
            continue
        field = given[0]
        part, part_path = projection[field], f"{where}.{field}"
        if field in ("secret", "configMap"):
            errors += _required(part, "name", part_path)
            errors += _validate_files(part, part_path)
        elif field == "downwardAPI":
            errors += _validate_downward(part, part_path)
        elif field == "serviceAccountToken":
            errors += _required(part, "path", part_path)
            if part.get("expirationSeconds", 600) < 600:
                errors.append(
                    FieldError.invalid(
                        f"{part_path}.expirationSeconds",
                        part["expirationSeconds"],
                        "may not specify a duration less than 10 minutes",
                    )
                )
    return errors
