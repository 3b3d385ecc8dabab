"""Validation of a Service's spec. Source: kube-apiserver's `ValidateService`, texts included."""

from podling.controlplane.apiserver.strategies import values_validation
from podling.controlplane.apiserver.strategies.metadata_validation import validate_labels
from podling.controlplane.apiserver.strategies.values_validation import PROTOCOLS
from podling.kube import names
from podling.kube.errors import FieldError
from podling.kube.meta import Object

EXTERNAL_NAME, NODE_PORT, LOAD_BALANCER = "ExternalName", "NodePort", "LoadBalancer"
TYPES = ("ClusterIP", EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT)
HEADLESS = "None"
TRAFFIC_POLICIES = ("Cluster", "Local")
MAX_AFFINITY_SECONDS = 86400


def validate_service_spec(spec: Object) -> list[FieldError]:
    kind, headless = spec.get("type"), spec.get("clusterIP") == HEADLESS
    errors = values_validation.one_of(spec, "type", TYPES, "spec")
    if not spec.get("ports") and not headless and kind != EXTERNAL_NAME:
        errors.append(FieldError.required("spec.ports"))
    if kind == EXTERNAL_NAME:
        errors += _validate_external_name(spec)
    elif kind in (NODE_PORT, LOAD_BALANCER) and headless:
        text = f"may not be set to 'None' for {kind} services"
        errors.append(FieldError.invalid("spec.clusterIPs[0]", HEADLESS, text))
    errors += _validate_addresses(spec)
    errors += _validate_affinity(spec)
    errors += _validate_ports(spec)
    errors += validate_labels(spec.get("selector") or {}, "spec.selector")
    for field in ("internalTrafficPolicy", "externalTrafficPolicy"):
        errors += values_validation.maybe_one_of(spec, field, TRAFFIC_POLICIES, "spec")
    if spec.get("externalTrafficPolicy") and kind not in (NODE_PORT, LOAD_BALANCER):
        text = "may only be set for externally-accessible services"
        value = spec["externalTrafficPolicy"]
        errors.append(FieldError.invalid("spec.externalTrafficPolicy", value, text))
    return errors


def validate_service_spec_update(new: Object, old: Object) -> list[FieldError]:
    """The first cluster address, once given, stays."""
    if EXTERNAL_NAME in (new.get("type"), old.get("type")):
        return []
    before, after = old.get("clusterIPs") or [], new.get("clusterIPs") or []
    if not before or before[:1] == after[:1]:
        return []
    if not after:
        text = "primary clusterIP can not be unset"
        return [FieldError.invalid("spec.clusterIPs[0]", after, text)]
    return [FieldError.invalid("spec.clusterIPs[0]", after, "may not change once set")]


def _validate_external_name(spec: Object) -> list[FieldError]:
    errors = []
    for field in ("clusterIP", "clusterIPs"):
        if spec.get(field):
            text = "may not be set for ExternalName services"
            errors.append(FieldError.forbidden(f"spec.{field}", text))
    name = (spec.get("externalName") or "").rstrip(".")
    if not name:
        errors.append(FieldError.required("spec.externalName"))
    else:
        texts = names.dns_subdomain_errors(name)
        errors += [FieldError.invalid("spec.externalName", name, text) for text in texts]
    return errors


def _validate_addresses(spec: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    addresses = spec.get("clusterIPs") or []
    for index, address in enumerate(addresses):
        if address != HEADLESS:
            errors += values_validation.address(address, f"spec.clusterIPs[{index}]")
    if addresses and spec.get("clusterIP") and addresses[0] != spec["clusterIP"]:
        text = "first value must match `clusterIP`"
        errors.append(FieldError.invalid("spec.clusterIPs", addresses, text))
    for index, address in enumerate(spec.get("externalIPs") or ()):
        errors += values_validation.address(address, f"spec.externalIPs[{index}]")
    return errors


def _validate_affinity(spec: Object) -> list[FieldError]:
    choices = ("ClientIP", "None")
    errors = values_validation.one_of(spec, "sessionAffinity", choices, "spec")
    client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds = client.get("timeoutSeconds")
    if seconds is not None and not 0 < seconds <= MAX_AFFINITY_SECONDS:
        path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        text = f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"
        errors.append(FieldError.invalid(path, seconds, text))
    return errors


def _validate_ports(spec: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    ports = spec.get("ports") or ()
    seen_names: set[str] = set()
    seen_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        errors += _validate_port(port, path, named=len(ports) > 1)
        name, number = port.get("name") or "", port.get("port") or 0
        if name and name in seen_names:
            errors.append(FieldError.duplicate(f"{path}.name", name))
        seen_names.add(name)
        key = port.get("protocol") or "", number
        if key in seen_ports:
            errors.append(FieldError.duplicate(path, {"protocol": key[0], "port": number}))
        seen_ports.add(key)
        if port.get("nodePort") and spec.get("type") not in (NODE_PORT, LOAD_BALANCER):
            text = f"may not be used when `type` is '{spec.get('type')}'"
            errors.append(FieldError.forbidden(f"{path}.nodePort", text))
    return errors


def _validate_port(port: Object, path: str, *, named: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    name = port.get("name") or ""
    if name:
        errors += values_validation.dns_label(name, f"{path}.name")
    elif named:
        errors.append(FieldError.required(f"{path}.name"))
    errors += values_validation.port_number(port.get("port") or 0, f"{path}.port")
    errors += values_validation.one_of(port, "protocol", PROTOCOLS, path)
    errors += values_validation.port_number_or_name(port.get("targetPort"), f"{path}.targetPort")
    if node_port := port.get("nodePort"):
        errors += values_validation.port_number(node_port, f"{path}.nodePort")
    return errors
