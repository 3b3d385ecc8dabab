"""Services and EndpointSlices -> what to listen on, and where to send what comes in. Pure.

Worked example: a Service `web` at 127.23.0.9 with port 80 named `http`, and one slice that says
that port `http` is 8080 at 127.23.65.2 (ready) and 127.23.66.2 (terminating, but serving):

    {Frontend("127.23.0.9", 80): Route(service="default/web", port="http",
                                       ready=(Endpoint("127.23.65.2", 8080),),
                                       draining=(Endpoint("127.23.66.2", 8080),))}
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from podling.kube import meta
from podling.kube.meta import Object

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
AFFINITY_SECONDS = 10800
"""Upstream's default of sessionAffinityConfig.clientIP.timeoutSeconds."""


class Frontend(NamedTuple):
    """Where clients connect: a cluster IP and a port of the Service."""

    address: str
    port: int


class Endpoint(NamedTuple):
    """Where a pod listens."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Route:
    """Where the connections to one frontend go."""

    service: str
    """Key of the Service, for logs and events."""
    port: str
    """Name of the Service's port; empty where it has only one."""
    ready: tuple[Endpoint, ...]
    draining: tuple[Endpoint, ...]
    """Terminating but still serving: used only where nobody is ready (KEP-1669)."""
    affinity_seconds: int = 0
    """How long a client address stays with its endpoint; 0: no session affinity."""


Table = Mapping[Frontend, Route]


@dataclass(frozen=True, slots=True)
class Changes:
    """How to get from one table to another."""

    opened: tuple[Frontend, ...]
    closed: tuple[Frontend, ...]


def build(services: Iterable[Object], slices: Iterable[Object]) -> Table:
    """The table for these Services and EndpointSlices; TCP only."""
    slices_of: dict[str, list[Object]] = {}
    for endpoint_slice in slices:
        name = meta.labels(endpoint_slice).get(SERVICE_NAME_LABEL)
        if name:
            slices_of.setdefault(f"{meta.namespace(endpoint_slice)}/{name}", []).append(
                endpoint_slice
            )
    return {
        frontend: route
        for service in services
        for frontend, route in _routes(service, slices_of.get(meta.key(service), ()))
    }


def changes(old: Table, new: Table) -> Changes:
    """What to open and what to close; routes of frontends in both are just replaced."""
    return Changes(
        opened=tuple(frontend for frontend in new if frontend not in old),
        closed=tuple(frontend for frontend in old if frontend not in new),
    )


def _routes(service: Object, slices: Iterable[Object]) -> Iterator[tuple[Frontend, Route]]:
    spec = service.get("spec", {})
    if spec.get("type") == "ExternalName":
        return
    addresses = [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP", "")] if ip]
    affinity = _affinity(spec)
    endpoints = list(slices)
    for port in spec.get("ports", ()):
        if port.get("protocol", "TCP") != "TCP":
            continue
        name = port.get("name", "")
        route = Route(
            service=meta.key(service),
            port=name,
            ready=tuple(sorted(set(_endpoints(endpoints, name, draining=False)))),
            draining=tuple(sorted(set(_endpoints(endpoints, name, draining=True)))),
            affinity_seconds=affinity,
        )
        for address in addresses:
            if address != "None":
                yield Frontend(address, port["port"]), route


def _affinity(spec: Object) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(client_ip.get("timeoutSeconds") or AFFINITY_SECONDS)


def _endpoints(slices: Iterable[Object], port_name: str, *, draining: bool) -> Iterator[Endpoint]:
    for endpoint_slice in slices:
        for port in endpoint_slice.get("ports") or ():
            if (port.get("name") or "") != port_name or not port.get("port"):
                continue
            for endpoint in endpoint_slice.get("endpoints") or ():
                conditions = endpoint.get("conditions") or {}
                # Absent means ready (discovery.k8s.io/v1: nil is to be read as true).
                ready = conditions.get("ready", True) is not False
                leaving = bool(conditions.get("terminating")) and bool(conditions.get("serving"))
                if (draining and leaving and not ready) or (not draining and ready):
                    for address in endpoint.get("addresses") or ():
                        yield Endpoint(address, port["port"])
