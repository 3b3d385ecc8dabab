"""Services and EndpointSlices -> what the cluster's zone holds. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from podling.kube import meta
from podling.kube.meta import Object

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class NamedEndpoint(NamedTuple):
    """One endpoint of a headless Service."""

    hostname: str
    """The pod's hostname, or its address with dashes where it has none."""
    address: str


class Port(NamedTuple):
    name: str
    protocol: str
    """Lower case, as in `_tcp`."""
    number: int


@dataclass(frozen=True, slots=True)
class ServiceRecords:
    """What one Service puts into the zone."""

    cluster_ips: tuple[str, ...] = ()
    """Empty for a headless Service."""
    endpoints: tuple[NamedEndpoint, ...] = ()
    """Of a headless Service: those that are ready, or all where it publishes them so."""
    ports: tuple[Port, ...] = ()
    external_name: str = ""
    """Of an ExternalName Service: the name that it stands for."""


@dataclass(frozen=True, slots=True)
class Zone:
    """Everything that the zone holds."""

    services: Mapping[tuple[str, str], ServiceRecords] = field(default_factory=dict)
    """By namespace and name."""
    reverse: Mapping[str, str] = field(default_factory=dict)
    """Address -> name in the zone, without the zone itself: `web.default.svc`."""
    namespaces: frozenset[str] = frozenset()
    """Those with any Service, whose own names exist although they hold nothing."""


def build(services: Iterable[Object], slices: Iterable[Object]) -> Zone:
    """The zone for these Services and EndpointSlices."""
    slices_of: dict[tuple[str, str], list[Object]] = {}
    for endpoint_slice in slices:
        owner = meta.labels(endpoint_slice).get(SERVICE_NAME_LABEL, "")
        key = (meta.namespace(endpoint_slice), owner)
        slices_of.setdefault(key, []).append(endpoint_slice)
    records: dict[tuple[str, str], ServiceRecords] = {}
    reverse: dict[str, str] = {}
    for service in services:
        key = (meta.namespace(service), meta.name(service))
        found = records[key] = _records(service, slices_of.get(key, ()))
        name = f"{key[1]}.{key[0]}.svc"
        reverse.update((address, name) for address in found.cluster_ips)
        reverse.update((e.address, f"{e.hostname}.{name}") for e in found.endpoints)
    return Zone(records, reverse, frozenset(namespace for namespace, _ in records))


def _records(service: Object, slices: Iterable[Object]) -> ServiceRecords:
    spec = service.get("spec", {})
    if spec.get("type") == "ExternalName":
        return ServiceRecords(external_name=spec.get("externalName", ""))
    addresses = tuple(ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP", "")] if ip)
    if addresses == ("None",):
        return _headless(spec, list(slices))
    ports = tuple(
        Port(port["name"], port.get("protocol", "TCP").lower(), port["port"])
        for port in spec.get("ports", ())
        if port.get("name")
    )
    return ServiceRecords(cluster_ips=addresses, ports=ports)


def _headless(spec: Object, slices: list[Object]) -> ServiceRecords:
    everybody = bool(spec.get("publishNotReadyAddresses"))
    endpoints = {
        NamedEndpoint(endpoint.get("hostname") or address.replace(".", "-"), address)
        for endpoint_slice in slices
        for endpoint in endpoint_slice.get("endpoints") or ()
        if everybody or (endpoint.get("conditions") or {}).get("ready", True) is not False
        for address in endpoint.get("addresses") or ()
    }
    ports = {
        Port(port["name"], port.get("protocol", "TCP").lower(), port["port"])
        for endpoint_slice in slices
        for port in endpoint_slice.get("ports") or ()
        if port.get("name") and port.get("port")
    }
    return ServiceRecords(endpoints=tuple(sorted(endpoints)), ports=tuple(sorted(ports)))
