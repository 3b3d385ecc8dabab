"""What a query name asks for. Pure.

Grammar, after the Kubernetes DNS-based service discovery specification 1.1.0, in zone Z:

    SERVICE.NAMESPACE.svc.Z                    a Service: cluster IP, or endpoints if headless
    ENDPOINT.SERVICE.NAMESPACE.svc.Z           one endpoint of a headless Service, by its hostname
    _PORT._PROTOCOL.SERVICE.NAMESPACE.svc.Z    a named port, as SRV
    A-B-C-D.NAMESPACE.pod.Z                    the address A.B.C.D itself
    dns-version.Z                              the version of the specification, as TXT
    D.C.B.A.in-addr.arpa                       the name of the Service or endpoint at A.B.C.D

Names are compared without regard to case (RFC 1035, section 2.3.3).
"""

import ipaddress
import re
from dataclasses import dataclass

REVERSE = ("in-addr", "arpa")
POD_ADDRESS = re.compile(r"\d{1,3}(-\d{1,3}){3}")


@dataclass(frozen=True, slots=True)
class ServiceName:
    namespace: str
    service: str


@dataclass(frozen=True, slots=True)
class EndpointName:
    namespace: str
    service: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class PortName:
    namespace: str
    service: str
    port: str
    protocol: str


@dataclass(frozen=True, slots=True)
class PodAddress:
    address: str


@dataclass(frozen=True, slots=True)
class Version:
    pass


@dataclass(frozen=True, slots=True)
class Reverse:
    address: str


@dataclass(frozen=True, slots=True)
class Parent:
    """A name in the zone with no record of its own, but with names below it: svc.Z, the zone."""

    namespace: str = ""
    """Set where the names below are those of one namespace."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """In the zone, and nothing that the specification knows: NXDOMAIN."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Outside of the zone: for the upstream servers."""


Request = (
    ServiceName
    | EndpointName
    | PortName
    | PodAddress
    | Version
    | Reverse
    | Parent
    | Unknown
    | Foreign
)


def parse(name: str, zone: str) -> Request:
    """Read a query name, with or without its final dot; `zone` like `cluster.local`."""
    labels = tuple(name.lower().rstrip(".").split("."))
    suffix = tuple(zone.split("."))
    if labels[-len(REVERSE) :] == REVERSE:
        return _reverse(labels[: -len(REVERSE)])
    if labels[-len(suffix) :] != suffix:
        return Foreign()
    match labels[: -len(suffix)]:
        case () | ("svc",) | ("pod",):
            return Parent()
        case ("dns-version",):
            return Version()
        case (namespace, "svc") | (namespace, "pod"):
            return Parent(namespace)
        case (*front, namespace, "svc"):
            return _service(tuple(front), namespace)
        case (address, _, "pod") if POD_ADDRESS.fullmatch(address):
            return _pod(address)
    return Unknown()


def _service(front: tuple[str, ...], namespace: str) -> Request:
    match front:
        case (service,):
            return ServiceName(namespace, service)
        case (port, protocol, service) if port.startswith("_") and protocol.startswith("_"):
            return PortName(namespace, service, port[1:], protocol[1:])
        case (endpoint, service):
            return EndpointName(namespace, service, endpoint)
    return Unknown()


def _pod(label: str) -> Request:
    try:
        return PodAddress(str(ipaddress.IPv4Address(label.replace("-", "."))))
    except ValueError:
        return Unknown()


def _reverse(labels: tuple[str, ...]) -> Request:
    try:
        return Reverse(str(ipaddress.IPv4Address(".".join(reversed(labels)))))
    except ValueError:
        return Foreign()
