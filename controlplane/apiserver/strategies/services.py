"""Service. Cluster addresses and node ports themselves are allocated by the registry."""

from podling.controlplane.apiserver.strategies.base import BaseStrategy
from podling.controlplane.apiserver.strategies.filling import fill, fill_zero, items, section
from podling.controlplane.apiserver.strategies.service_validation import (
    EXTERNAL_NAME,
    HEADLESS,
    LOAD_BALANCER,
    NODE_PORT,
    validate_service_spec,
    validate_service_spec_update,
)
from podling.controlplane.apiserver.strategies.strategy import WriteContext
from podling.kube import names
from podling.kube.errors import FieldError
from podling.kube.meta import Object

AFFINITY_SECONDS = 3 * 3600

_FAMILY_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


class ServiceStrategy(BaseStrategy):
    allow_create_on_update = True
    has_status = True

    def name_errors(self, name: str) -> list[str]:
        return names.rfc1035_label_errors(name)

    def default(self, obj: Object) -> None:
        spec = section(obj, "spec")
        fill_zero(spec, "type", "ClusterIP")
        _default_affinity(spec)
        for port in items(spec, "ports"):
            fill_zero(port, "protocol", "TCP")
            fill_zero(port, "targetPort", port.get("port"))
        if spec["type"] in (NODE_PORT, LOAD_BALANCER):
            fill_zero(spec, "externalTrafficPolicy", "Cluster")
        if spec["type"] == LOAD_BALANCER:
            fill(spec, "allocateLoadBalancerNodePorts", True)
        if spec["type"] != EXTERNAL_NAME:
            fill(spec, "internalTrafficPolicy", "Cluster")
            _default_families(spec)

    def prepare_create(self, obj: Object, context: WriteContext) -> None:
        obj["status"] = {"loadBalancer": {}}
        _agree_on_addresses(obj["spec"])

    def prepare_update(self, new: Object, old: Object, context: WriteContext) -> None:
        super().prepare_update(new, old, context)
        _keep_allocated(new["spec"], old.get("spec") or {})
        _drop_what_the_type_forbids(new["spec"], old.get("spec") or {})
        _agree_on_addresses(new["spec"])

    def warnings(self, obj: Object) -> list[str]:
        spec = obj.get("spec") or {}
        if spec.get("clusterIP") == HEADLESS and spec.get("sessionAffinity") == "ClientIP":
            return ["spec.SessionAffinity is ignored for headless services"]
        return []

    def validate(self, obj: Object) -> list[FieldError]:
        return [*super().validate(obj), *validate_service_spec(obj.get("spec") or {})]

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return [
            *super().validate_update(new, old),
            *validate_service_spec_update(new.get("spec") or {}, old.get("spec") or {}),
        ]


def _default_affinity(spec: Object) -> None:
    fill_zero(spec, "sessionAffinity", "None")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = section(section(spec, "sessionAffinityConfig"), "clientIP")
        fill_zero(client, "timeoutSeconds", AFFINITY_SECONDS)


def _default_families(spec: Object) -> None:
    """One stack: the family of the address asked for, IPv4 otherwise."""
    fill_zero(spec, "ipFamilyPolicy", "SingleStack")
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    fill_zero(spec, "ipFamilies", ["IPv6" if ":" in addresses[0] else "IPv4"])


def _agree_on_addresses(spec: Object) -> None:
    """`clusterIP` is the first of `clusterIPs`; whichever was given sets the other."""
    if spec.get("type") == EXTERNAL_NAME:
        return
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif spec.get("clusterIPs") and not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]


def _keep_allocated(new: Object, old: Object) -> None:
    """A PUT that leaves addresses and node ports out keeps them."""
    needs_address = EXTERNAL_NAME not in (new.get("type"), old.get("type"))
    if needs_address and not new.get("clusterIP") and not new.get("clusterIPs"):
        for field in ("clusterIP", "clusterIPs"):
            if old.get(field):
                new[field] = old[field]
    if {new.get("type"), old.get("type")} <= {NODE_PORT, LOAD_BALANCER}:
        allocated = {_port_key(port): port.get("nodePort") for port in items(old, "ports")}
        for port in items(new, "ports"):
            if not port.get("nodePort") and allocated.get(_port_key(port)):
                port["nodePort"] = allocated[_port_key(port)]


def _port_key(port: Object) -> tuple[str, int]:
    return port.get("protocol", "TCP"), port.get("port", 0)


def _drop_what_the_type_forbids(new: Object, old: Object) -> None:
    """Changing the type gives back what only the old type had, unless it was set anew."""
    if new.get("type") == old.get("type"):
        return
    if new.get("type") == EXTERNAL_NAME:
        for field in _FAMILY_FIELDS:
            if new.get(field) == old.get(field):
                new.pop(field, None)
    if new.get("type") not in (NODE_PORT, LOAD_BALANCER):
        allocated = {_port_key(port): port.get("nodePort") for port in items(old, "ports")}
        for port in items(new, "ports"):
            if port.get("nodePort") == allocated.get(_port_key(port)):
                port.pop("nodePort", None)
        if new.get("externalTrafficPolicy") == old.get("externalTrafficPolicy"):
            new.pop("externalTrafficPolicy", None)
