"""Validation of the containers of a pod spec.

Source: pkg/apis/core/v1 of the API reference and the texts of kube-apiserver's
`ValidateContainer` family. Structure has been checked against the schema before.
"""

from collections.abc import Collection
from dataclasses import dataclass

from podling.controlplane.apiserver.strategies import environment_validation, values_validation
from podling.controlplane.apiserver.strategies.probe_validation import (
    validate_lifecycle,
    validate_probe,
)
from podling.controlplane.apiserver.strategies.resource_validation import validate_resources
from podling.controlplane.apiserver.strategies.values_validation import PROTOCOLS
from podling.kube import names
from podling.kube.errors import FieldError
from podling.kube.meta import Object

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


@dataclass(frozen=True, slots=True)
class PodContext:
    """What a container is checked against."""

    volumes: Collection[str]
    """Names of the pod's volumes."""
    is_pod: bool
    """A pod of its own, rather than a template."""


def validate_containers(spec: Object, path: str, context: PodContext) -> list[FieldError]:
    """All containers of a pod spec, whose names differ."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    if not spec.get("containers"):
        errors.append(FieldError.required(f"{path}.containers"))
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            where = f"{path}.{field}[{index}]"
            errors += _validate_container(container, where, context)
            if field == "initContainers":
                errors += _validate_init_container(container, where)
            else:
                errors += _validate_main_container(container, where)
            name = container.get("name", "")
            if name and name in seen:
                errors.append(FieldError.duplicate(f"{where}.name", name))
            seen.add(name)
    return errors


def _validate_main_container(container: Object, path: str) -> list[FieldError]:
    errors = []
    for field in _PROBES:
        if (probe := container.get(field)) is not None:
            errors += validate_probe(probe, f"{path}.{field}", field)
    if (lifecycle := container.get("lifecycle")) is not None:
        errors += validate_lifecycle(lifecycle, f"{path}.lifecycle")
    return errors


def _validate_init_container(container: Object, path: str) -> list[FieldError]:
    """Only sidecars, which run on beside the main containers, have probes and hooks."""
    policy = container.get("restartPolicy")
    if policy == "Always":
        return _validate_main_container(container, path)
    errors = []
    if policy and policy not in ("Never", "OnFailure"):
        supported = ("Always", "Never", "OnFailure")
        errors.append(FieldError.not_supported(f"{path}.restartPolicy", policy, supported))
    text = "must not be set for init containers without restartPolicy=Always"
    return errors + [
        FieldError.forbidden(f"{path}.{field}", text)
        for field in ("lifecycle", *_PROBES)
        if container.get(field)
    ]


def _validate_container(container: Object, path: str, context: PodContext) -> list[FieldError]:
    errors = values_validation.required_dns_label(container.get("name", ""), f"{path}.name")
    image = container.get("image") or ""
    if not image:
        errors.append(FieldError.required(f"{path}.image"))
    elif context.is_pod and image != image.strip():
        text = "must not have leading or trailing whitespace"
        errors.append(FieldError.invalid(f"{path}.image", image, text))
    for field, choices in (
        ("imagePullPolicy", PULL_POLICIES),
        ("terminationMessagePolicy", MESSAGE_POLICIES),
    ):
        errors += values_validation.one_of(container, field, choices, path)
    errors += _validate_ports(container, path)
    errors += environment_validation.validate_environment(container, path)
    errors += _validate_mounts(container, path, context)
    errors += validate_resources(container.get("resources") or {}, f"{path}.resources")
    return errors


def _validate_ports(container: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(container.get("ports") or ()):
        where = f"{path}.ports[{index}]"
        if name := port.get("name"):
            texts = names.port_name_errors(name)
            errors += [FieldError.invalid(f"{where}.name", name, text) for text in texts]
            if name in seen:
                errors.append(FieldError.duplicate(f"{where}.name", name))
            seen.add(name)
        number = port.get("containerPort")
        if not number:
            errors.append(FieldError.required(f"{where}.containerPort"))
        else:
            errors += values_validation.port_number(number, f"{where}.containerPort")
        if host_port := port.get("hostPort"):
            errors += values_validation.port_number(host_port, f"{where}.hostPort")
        errors += values_validation.one_of(port, "protocol", PROTOCOLS, where)
    return errors


def _validate_mounts(container: Object, path: str, context: PodContext) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        where = f"{path}.volumeMounts[{index}]"
        name, mount_path = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            errors.append(FieldError.required(f"{where}.name"))
        elif name not in context.volumes:
            errors.append(FieldError.not_found(f"{where}.name", name))
        if not mount_path:
            errors.append(FieldError.required(f"{where}.mountPath"))
        elif mount_path in seen:
            errors.append(FieldError.invalid(f"{where}.mountPath", mount_path, "must be unique"))
        seen.add(mount_path)
        errors += relative_path(mount.get("subPath") or "", f"{where}.subPath")
    return errors


def relative_path(value: str, path: str) -> list[FieldError]:
    """A path that cannot lead out of where it starts."""
    if value.startswith("/"):
        return [FieldError.invalid(path, value, "must be a relative path")]
    if ".." in value.split("/"):
        return [FieldError.invalid(path, value, "must not contain '..'")]
    return []
