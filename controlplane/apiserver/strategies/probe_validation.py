"""Validation of probes and lifecycle hooks."""

from podling.controlplane.apiserver.strategies import values_validation
from podling.kube.errors import FieldError
from podling.kube.meta import Object

_NUMBERS = (
    "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
    "failureThreshold",
)  # fmt: skip
_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")


def validate_probe(probe: Object, path: str, field: str) -> list[FieldError]:
    """`field` is the probe's name in the container: it decides what the probe may ask for."""
    errors = _validate_handler(probe, path, _PROBE_HANDLERS)
    for number in _NUMBERS:
        errors += values_validation.not_negative(probe, number, path)
    grace = probe.get("terminationGracePeriodSeconds")
    if field == "readinessProbe":
        if grace is not None:
            text = "must not be set for readinessProbes"
            errors.append(FieldError.invalid(f"{path}.terminationGracePeriodSeconds", grace, text))
        return errors
    if grace is not None and grace <= 0:
        text = "must be greater than 0"
        errors.append(FieldError.invalid(f"{path}.terminationGracePeriodSeconds", grace, text))
    if (threshold := probe.get("successThreshold", 1)) != 1:
        errors.append(FieldError.invalid(f"{path}.successThreshold", threshold, "must be 1"))
    return errors


def validate_lifecycle(lifecycle: Object, path: str) -> list[FieldError]:
    errors = []
    for hook in ("postStart", "preStop"):
        if (handler := lifecycle.get(hook)) is not None:
            errors += _validate_handler(handler, f"{path}.{hook}", _HOOK_HANDLERS)
    return errors


def _validate_handler(holder: Object, path: str, known: tuple[str, ...]) -> list[FieldError]:
    given = [field for field in known if holder.get(field) is not None]
    if not given:
        return [FieldError.required(path, "must specify a handler type")]
    text = "may not specify more than 1 handler type"
    errors = [FieldError.forbidden(f"{path}.{field}", text) for field in given[1:]]
    field = given[0]
    handler, where = holder[field], f"{path}.{field}"
    if field == "exec":
        if not handler.get("command"):
            errors.append(FieldError.required(f"{where}.command"))
    elif field == "httpGet":
        errors += _validate_http_get(handler, where)
    elif field == "tcpSocket":
        errors += values_validation.port_number_or_name(handler.get("port"), f"{where}.port")
    elif field == "grpc":
        errors += values_validation.port_number(handler.get("port") or 0, f"{where}.port")
    return errors


def _validate_http_get(handler: Object, path: str) -> list[FieldError]:
    errors = []
    if not handler.get("path"):
        errors.append(FieldError.required(f"{path}.path"))
    errors += values_validation.port_number_or_name(handler.get("port"), f"{path}.port")
    errors += values_validation.one_of(handler, "scheme", ("HTTP", "HTTPS"), path)
    for index, header in enumerate(handler.get("httpHeaders") or ()):
        if not header.get("name"):
            errors.append(FieldError.required(f"{path}.httpHeaders[{index}].name"))
    return errors
