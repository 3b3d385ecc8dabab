"""What the cluster's zone answers to a question. Pure."""

from dataclasses import dataclass
from typing import NamedTuple

from podling.proxy.dns import names
from podling.proxy.dns.records import ServiceRecords, Zone

VERSION = "1.1.0"
"""Of the Kubernetes DNS specification."""
WEIGHT_TOTAL = 100


class Record(NamedTuple):
    """One resource record: its owner, its type and its data, in presentation form."""

    name: str
    type: str
    data: str


@dataclass(frozen=True, slots=True)
class Answer:
    exists: bool
    """False: NXDOMAIN. True without records: the name exists, with nothing of that type."""
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    """Addresses of the targets of SRV records."""


NXDOMAIN = Answer(exists=False)
NODATA = Answer(exists=True)


def answer(name: str, type_: str, zone: Zone, domain: str) -> Answer | None:
    """The answer to (`name`, `type_`); None where upstream is to be asked.

    `domain` is the cluster's domain, `cluster.local`; `type_` such as `A`.
    """
    match names.parse(name, domain):
        case names.Foreign():
            return None
        case names.Reverse(address):
            target = zone.reverse.get(address)
            return None if target is None else _typed(name, type_, "PTR", [f"{target}.{domain}."])
        case names.Version():
            return _typed(name, type_, "TXT", [f'"{VERSION}"'])
        case names.PodAddress(address):
            return _typed(name, type_, "A", [address])
        case names.Parent(namespace):
            return NODATA if not namespace or namespace in zone.namespaces else NXDOMAIN
        case names.ServiceName(namespace, service):
            return _service(name, type_, zone.services.get((namespace, service)))
        case names.EndpointName(namespace, service, endpoint):
            return _endpoint(name, type_, zone.services.get((namespace, service)), endpoint)
        case names.PortName() as port:
            return _port(
                name, type_, zone.services.get((port.namespace, port.service)), port, domain
            )
    return NXDOMAIN


def _typed(name: str, asked: str, has: str, data: list[str]) -> Answer:
    if asked not in (has, "ANY"):
        return NODATA
    return Answer(True, tuple(Record(name, has, value) for value in data))


def _service(name: str, type_: str, found: ServiceRecords | None) -> Answer:
    if found is None:
        return NXDOMAIN
    if found.external_name:
        # A resolver goes on from the alias, whatever type it asked for (RFC 1034, 3.6.2).
        target = found.external_name.rstrip(".") + "."
        return Answer(True, (Record(name, "CNAME", target),))
    if not found.cluster_ips and not found.endpoints:
        return NXDOMAIN  # headless, and nobody is ready
    addresses = found.cluster_ips or tuple(endpoint.address for endpoint in found.endpoints)
    return _typed(name, type_, "A", list(addresses))


def _endpoint(name: str, type_: str, found: ServiceRecords | None, endpoint: str) -> Answer:
    addresses = [e.address for e in found.endpoints if e.hostname == endpoint] if found else []
    return _typed(name, type_, "A", addresses) if addresses else NXDOMAIN


def _port(
    name: str, type_: str, found: ServiceRecords | None, asked: names.PortName, domain: str
) -> Answer:
    ports = [
        port.number
        for port in (found.ports if found else ())
        if (port.name, port.protocol) == (asked.port, asked.protocol)
    ]
    if found is None or not ports:
        return NXDOMAIN
    base = f"{asked.service}.{asked.namespace}.svc.{domain}."
    targets = [(f"{e.hostname}.{base}", e.address) for e in found.endpoints] or [
        (base, address) for address in found.cluster_ips
    ]
    if not targets:
        return NXDOMAIN
    if type_ not in ("SRV", "ANY"):
        return NODATA
    weight = max(1, WEIGHT_TOTAL // len(targets))
    return Answer(
        True,
        tuple(Record(name, "SRV", f"0 {weight} {p} {t}") for p in ports for t, _ in targets),
        tuple(Record(target, "A", address) for target, address in targets),
    )
