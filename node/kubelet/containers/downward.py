"""What a pod may know about itself: `fieldRef` and `resourceFieldRef`. Pure.

Sources: Kubernetes documentation, "Downward API", and the API reference of ObjectFieldSelector and
ResourceFieldSelector.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from podling.kube import meta, quantity
from podling.kube.meta import Object
from podling.node.kubelet.planning import pod_spec

_SUBSCRIPT = re.compile(r"(metadata\.(?:labels|annotations))\['(.+)'\]")


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the kubelet adds to a pod's own fields."""

    pod_ips: tuple[str, ...]
    host_ips: tuple[str, ...]
    allocatable: Mapping[str, str]
    """The node's `cpu` and `memory`: stands in for limits that are not set."""


def field_value(pod: Object, path: str, facts: PodFacts) -> str:
    """The value of `fieldRef.fieldPath`; ValueError if there is no such field."""
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript:
        which = meta.labels if subscript.group(1) == "metadata.labels" else meta.annotations
        return which(pod).get(subscript.group(2), "")
    values: dict[str, str] = {
        "metadata.name": meta.name(pod),
        "metadata.namespace": meta.namespace(pod),
        "metadata.uid": meta.uid(pod),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.podIP": next(iter(facts.pod_ips), ""),
        "status.podIPs": ",".join(facts.pod_ips),
        "status.hostIP": next(iter(facts.host_ips), ""),
        "status.hostIPs": ",".join(facts.host_ips),
        "metadata.labels": _lines(meta.labels(pod)),
        "metadata.annotations": _lines(meta.annotations(pod)),
    }
    if path not in values:
        raise ValueError(f"unsupported fieldPath: {path}")
    return values[path]


def resource_value(pod: Object, reference: Object, container_name: str, facts: PodFacts) -> str:
    """The value of a `resourceFieldRef`, in units of its divisor, rounded up.

    A limit that is not set is the node's allocatable amount, a request that is not set the limit,
    if that is set, and otherwise 0.
    """
    name = reference.get("containerName") or container_name
    spec = pod_spec.container(pod, name)
    if spec is None:
        raise ValueError(f'container "{name}" not found')
    section, _, resource = reference["resource"].partition(".")
    if section not in ("limits", "requests") or not resource:
        raise ValueError(f"unsupported container resource: {reference['resource']}")
    resources = spec.get("resources", {})
    limit = resources.get("limits", {}).get(resource)
    if section == "limits":
        amount = limit or facts.allocatable.get(resource, "0")
    else:
        amount = resources.get("requests", {}).get(resource) or limit or "0"
    divisor = quantity.parse(reference.get("divisor") or "1") or quantity.parse("1")
    return str(-(-quantity.parse(amount).nanos // divisor.nanos))


def _lines(values: Mapping[str, str]) -> str:
    """`key="value"` a line, sorted, the value quoted as Go does."""
    return "\n".join(f"{key}={_quote(value)}" for key, value in sorted(values.items()))


def _quote(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(character, character) for character in text) + '"'
