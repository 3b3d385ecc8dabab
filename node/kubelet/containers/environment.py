"""A container's environment variables, from everywhere they may come from. Pure.

Later sources win over earlier ones; a service's variables and POD_IP only fill gaps:

1. `envFrom`, in order;
2. `env`, in order, each value expanded with what was declared before it;
3. services (see service_environment) and POD_IP.

POD_IP is ours: in the loopback network a server must bind the pod's own address, and this is how
it learns which one that is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from podling.kube import meta
from podling.kube.meta import Object
from podling.node.kubelet.containers import downward, expansion
from podling.node.kubelet.containers.downward import PodFacts
from podling.node.kubelet.containers.references import (
    CONFIG_MAP,
    SECRET,
    MissingReferenceError,
    Reference,
    Sources,
)


@dataclass(frozen=True, slots=True)
class EnvironmentInputs:
    """What a pod's containers share when their environment is made."""

    sources: Sources
    services: Mapping[str, str]
    facts: PodFacts


def build(pod: Object, spec: Object, inputs: EnvironmentInputs) -> dict[str, str]:
    """The variables of container `spec`; MissingReferenceError names what is missing."""
    values: dict[str, str] = {}
    for source in spec.get("envFrom") or []:
        values.update(_all_of(source, inputs.sources))
    for entry in spec.get("env") or []:
        value = _value(pod, spec, entry, {**inputs.services, **values}, inputs)
        if value is not None:
            values[entry["name"]] = value
    gaps = dict(inputs.services)
    if inputs.facts.pod_ips:
        gaps["POD_IP"] = inputs.facts.pod_ips[0]
    return values | {name: value for name, value in gaps.items() if name not in values}


def _all_of(source: Object, sources: Sources) -> dict[str, str]:
    prefix = source.get("prefix", "")
    found: dict[str, str] = {}
    for field_name, kind in (("configMapRef", CONFIG_MAP), ("secretRef", SECRET)):
        if field_name in source:
            named = source[field_name]
            reference = Reference(kind, named.get("name", ""), bool(named.get("optional")))
            for key, value in sorted((sources.data(reference) or {}).items()):
                found[prefix + key] = value.decode(errors="replace")
    return found


def _value(
    pod: Object, spec: Object, entry: Object, known: Mapping[str, str], inputs: EnvironmentInputs
) -> str | None:
    """None leaves the variable out: an optional key that is not there."""
    origin = entry.get("valueFrom")
    if not origin:
        return expansion.expand(entry.get("value", ""), known)
    try:
        if "fieldRef" in origin:
            return downward.field_value(pod, origin["fieldRef"]["fieldPath"], inputs.facts)
        if "resourceFieldRef" in origin:
            reference = origin["resourceFieldRef"]
            return downward.resource_value(pod, reference, spec["name"], inputs.facts)
    except ValueError as error:
        raise MissingReferenceError(f"variable {entry['name']}: {error}") from None
    if "configMapKeyRef" in origin:
        return _key(pod, CONFIG_MAP, origin["configMapKeyRef"], inputs.sources)
    if "secretKeyRef" in origin:
        return _key(pod, SECRET, origin["secretKeyRef"], inputs.sources)
    raise MissingReferenceError(
        f"variable {entry['name']}: valueFrom {', '.join(origin)} is not supported"
    )


def _key(pod: Object, kind: str, selector: Object, sources: Sources) -> str | None:
    name, key = selector.get("name", ""), selector["key"]
    optional = bool(selector.get("optional"))
    data = sources.data(Reference(kind, name, optional))
    if data is not None and key in data:
        return data[key].decode(errors="replace")
    if optional:
        return None
    raise MissingReferenceError(f"couldn't find key {key} in {kind} {meta.namespace(pod)}/{name}")
