"""Defaults of Pod and of the pod template inside workloads.

Source: pkg/apis/core/v1/defaults.go of Kubernetes and the API reference of PodSpec. A template
gets what `default_pod_spec` sets; only a Pod of its own gets requests from limits and service
links on top (`default_pod`).
"""

from typing import Any

from podling.controlplane.apiserver.strategies.filling import (
    fill,
    fill_zero,
    items,
    section,
)
from podling.kube.meta import Object

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
FILE_MODE = 0o644

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_DEFAULTS = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}
#: Volume sources whose files have a mode.
_SOURCES_WITH_MODE = ("secret", "configMap", "downwardAPI", "projected")


def default_pod(pod: Object) -> None:
    """Everything of a Pod."""
    spec = section(pod, "spec")
    default_pod_spec(spec)
    fill(spec, "enableServiceLinks", True)
    for field in ("initContainers", "containers"):
        for container in items(spec, field):
            _requests_from_limits(container)


def default_pod_template(template: Object) -> None:
    """Everything of a PodTemplateSpec."""
    section(template, "metadata")
    default_pod_spec(section(template, "spec"))


def default_pod_spec(spec: Object) -> None:
    """What a Pod and a template have in common."""
    fill_zero(spec, "restartPolicy", "Always")
    fill_zero(spec, "dnsPolicy", "ClusterFirst")
    fill_zero(spec, "schedulerName", "default-scheduler")
    fill(spec, "terminationGracePeriodSeconds", 30)
    fill(spec, "securityContext", {})
    _mirror_service_account(spec)
    for field in CONTAINER_LISTS:
        for container in items(spec, field):
            _default_container(container)
            if spec.get("hostNetwork") and field != "ephemeralContainers":
                _host_ports_from_ports(container)
    for volume in items(spec, "volumes"):
        _default_volume(volume)


def _mirror_service_account(spec: Object) -> None:
    """`serviceAccount` is the old name of `serviceAccountName`; both are always shown."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = name
        spec["serviceAccount"] = name


def _default_container(container: Object) -> None:
    fill_zero(container, "imagePullPolicy", pull_policy(container.get("image") or ""))
    fill_zero(container, "terminationMessagePath", "/dev/termination-log")
    fill_zero(container, "terminationMessagePolicy", "File")
    fill(container, "resources", {})
    for port in items(container, "ports"):
        fill_zero(port, "protocol", "TCP")
    for variable in items(container, "env"):
        _default_field_reference(variable.get("valueFrom"))
    for field in _PROBES:
        if (probe := container.get(field)) is not None:
            _default_probe(probe)
    for hook in (container.get("lifecycle") or {}).values():
        _default_handler(hook)


def pull_policy(image: str) -> str:
    """`Always` for an image whose tag is `latest` or left out, else `IfNotPresent`."""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _default_probe(probe: Object) -> None:
    for field, value in _PROBE_DEFAULTS.items():
        fill_zero(probe, field, value)
    _default_handler(probe)
    if (grpc := probe.get("grpc")) is not None:
        fill(grpc, "service", "")


def _default_handler(handler: Object | None) -> None:
    http_get = (handler or {}).get("httpGet")
    if http_get is not None:
        fill_zero(http_get, "path", "/")
        fill_zero(http_get, "scheme", "HTTP")


def _default_field_reference(source: Object | None) -> None:
    reference = (source or {}).get("fieldRef")
    if reference is not None:
        fill_zero(reference, "apiVersion", "v1")


def _host_ports_from_ports(container: Object) -> None:
    for port in items(container, "ports"):
        fill_zero(port, "hostPort", port.get("containerPort"))


def _requests_from_limits(container: Object) -> None:
    resources = section(container, "resources")
    limits = resources.get("limits")
    if not limits:
        return
    requests = section(resources, "requests")
    for resource, amount in limits.items():
        fill(requests, resource, amount)


def _default_volume(volume: Object) -> None:
    if not any(value is not None for field, value in volume.items() if field != "name"):
        volume["emptyDir"] = {}
    for field in _SOURCES_WITH_MODE:
        if (source := volume.get(field)) is not None:
            fill(source, "defaultMode", FILE_MODE)
    if (host_path := volume.get("hostPath")) is not None:
        fill(host_path, "type", "")
    _default_downward_items(volume.get("downwardAPI"))
    for source in items(volume.get("projected") or {}, "sources"):
        _default_downward_items(source.get("downwardAPI"))
        if (token := source.get("serviceAccountToken")) is not None:
            fill(token, "expirationSeconds", 3600)


def _default_downward_items(source: Any) -> None:
    for item in items(source or {}, "items"):
        _default_field_reference(item)
