"""EndpointSlice (API group discovery.k8s.io/v1)."""

from ipaddress import ip_address
from typing import Any

from podling.controlplane.apiserver.strategies import values_validation
from podling.controlplane.apiserver.strategies.base import BaseStrategy
from podling.controlplane.apiserver.strategies.filling import fill, fill_zero, items
from podling.controlplane.apiserver.strategies.metadata_validation import IMMUTABLE
from podling.controlplane.apiserver.strategies.values_validation import PROTOCOLS
from podling.kube import names
from podling.kube.errors import FieldError
from podling.kube.kinds import Kind
from podling.kube.meta import Object

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
MAX_PORTS = 20000


class EndpointSliceStrategy(BaseStrategy):
    """`allow_loopback`: pods have loopback addresses, as they do in the loopback network."""

    has_generation = True

    def __init__(self, kind: Kind, *, allow_loopback: bool) -> None:
        super().__init__(kind)
        self._allow_loopback = allow_loopback

    def default(self, obj: Object) -> None:
        fill(obj, "endpoints", [])
        for port in items(obj, "ports"):
            fill(port, "name", "")
            fill_zero(port, "protocol", "TCP")

    def generation_of(self, obj: Object) -> Any:
        return {field: value for field, value in obj.items() if field != "metadata"}

    def validate(self, obj: Object) -> list[FieldError]:
        errors = super().validate(obj)
        errors += values_validation.one_of(obj, "addressType", ADDRESS_TYPES, "")
        errors = [_at_root(error) for error in errors]
        endpoints = obj.get("endpoints") or ()
        if len(endpoints) > MAX_ENDPOINTS:
            errors.append(FieldError.too_many("endpoints", len(endpoints), MAX_ENDPOINTS))
            return errors
        for index, endpoint in enumerate(endpoints):
            path = f"endpoints[{index}]"
            errors += self._validate_endpoint(endpoint, obj.get("addressType", ""), path)
        return errors + _validate_ports(obj)

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        errors = super().validate_update(new, old)
        if new.get("addressType") != old.get("addressType"):
            value = new.get("addressType")
            errors.append(FieldError.invalid("addressType", value, IMMUTABLE))
        return errors

    def _validate_endpoint(self, endpoint: Object, type_: str, path: str) -> list[FieldError]:
        addresses = endpoint.get("addresses") or ()
        if not addresses:
            text = "must contain at least 1 address"
            return [FieldError.required(f"{path}.addresses", text)]
        if len(addresses) > MAX_ADDRESSES:
            return [FieldError.too_many(f"{path}.addresses", len(addresses), MAX_ADDRESSES)]
        errors: list[FieldError] = []
        for index, address in enumerate(addresses):
            errors += self._validate_address(address, type_, f"{path}.addresses[{index}]")
        if hostname := endpoint.get("hostname"):
            errors += values_validation.dns_label(hostname, f"{path}.hostname")
        if node := endpoint.get("nodeName"):
            texts = names.dns_subdomain_errors(node)
            errors += [FieldError.invalid(f"{path}.nodeName", node, text) for text in texts]
        return errors

    def _validate_address(self, address: str, type_: str, path: str) -> list[FieldError]:
        if type_ == "FQDN":
            texts = names.dns_subdomain_errors(address)
            return [FieldError.invalid(path, address, text) for text in texts]
        try:
            parsed = ip_address(address)
        except ValueError:
            return values_validation.address(address, path)
        if type_ != f"IPv{parsed.version}":
            return [FieldError.invalid(path, address, f"must be an {type_} address")]
        if parsed.is_loopback and not self._allow_loopback:
            text = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
            return [FieldError.invalid(path, address, text)]
        if parsed.is_unspecified:
            return [FieldError.invalid(path, address, "may not be unspecified (0.0.0.0 or ::)")]
        return []


def _at_root(error: FieldError) -> FieldError:
    """Fields of the object itself have no path before them."""
    return FieldError(error.field.removeprefix("."), error.reason, error.message)


def _validate_ports(obj: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    ports = obj.get("ports") or ()
    if len(ports) > MAX_PORTS:
        return [FieldError.too_many("ports", len(ports), MAX_PORTS)]
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name") or ""
        if name:
            errors += values_validation.dns_label(name, f"{path}.name")
        if name in seen:
            errors.append(FieldError.duplicate(f"{path}.name", name))
        seen.add(name)
        errors += values_validation.one_of(port, "protocol", PROTOCOLS, path)
        if (number := port.get("port")) is not None:
            errors += values_validation.port_number(number, f"{path}.port")
    return errors
