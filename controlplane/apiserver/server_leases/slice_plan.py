"""What must be written for the EndpointSlices of `kubernetes` to tell which servers live. Pure.

A slice has one list of ports for all its addresses, so there is one for each port and family of
addresses. Worked example: 10.0.0.1:6443, 10.0.0.2:6443 and 10.0.0.2:6444 live.

    kubernetes              10.0.0.1, 10.0.0.2    port 6443
    kubernetes-ipv4-6444    10.0.0.2              port 6444

The one that is called as the Service keeps its port while anybody has it. Every other slice of the
Service is removed. Where all servers have one port, which is the only case that kube-apiserver
knows, its slice is the same to the letter, so that neither corrects the other.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from podling.controlplane.apiserver.server_leases.lease_keys import Endpoint
from podling.kube import meta
from podling.kube.meta import Object

SERVICE = "kubernetes"
NAMESPACE = "default"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
PORT_NAME = "https"


@dataclass(frozen=True, slots=True)
class Create:
    obj: Object


@dataclass(frozen=True, slots=True)
class Replace:
    """It carries the resourceVersion of the state that it replaces, and of no other."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Remove:
    obj: Object


Write = Create | Replace | Remove


class Group(NamedTuple):
    """What the addresses of one slice have in common."""

    address_type: str
    port: int


def concerns(name: str, labels: Mapping[str, str]) -> bool:
    """Whether a slice of the namespace must be looked at: it is the Service's, or has a name that
    one of the Service's may need."""
    return name.startswith(SERVICE) or labels.get(SERVICE_NAME_LABEL) == SERVICE


def plan(living: Collection[Endpoint], slices: Iterable[Object]) -> list[Write]:
    """What to write, in this order; `slices` are those that `concerns` names, as they are now.

    No address of a server that goes on living is missing in between.
    """
    now = {meta.name(obj): obj for obj in slices}
    wanted = _wanted(living, now.get(SERVICE))
    writes: list[Write] = []
    for name, obj in wanted.items():
        writes += _to_have(obj, now.get(name))
    writes += [
        Remove(obj) for name, obj in now.items() if _is_of_service(obj) and name not in wanted
    ]
    return writes


def _wanted(living: Collection[Endpoint], first: Object | None) -> dict[str, Object]:
    """The slices that there should be, by name; `first` is the one called as the Service."""
    groups: dict[Group, list[str]] = defaultdict(list)
    for endpoint in sorted(set(living)):
        groups[_group(endpoint)].append(endpoint.address)
    if not groups:  # the last one stops
        return {} if first is None else {SERVICE: {"ports": [], **first, "endpoints": []}}
    kept = _group_of(first)
    main = kept if kept in groups else min(groups)
    return {
        obj["metadata"]["name"]: obj
        for group, addresses in groups.items()
        for obj in [_slice(_name(group, main), group, addresses)]
    }


def _to_have(wanted: Object, now: Object | None) -> Iterator[Write]:
    if now is None:
        yield Create(wanted)
    elif now.get("addressType") != wanted["addressType"]:  # which cannot be changed
        yield Remove(now)
        yield Create(wanted)
    elif not _says(now, wanted):
        labels = {**meta.labels(now), SERVICE_NAME_LABEL: SERVICE}
        yield Replace(
            {
                **now,
                "metadata": {**now["metadata"], "labels": labels},
                "endpoints": wanted["endpoints"],
                "ports": wanted["ports"],
            }
        )


def _says(now: Object, wanted: Object) -> bool:
    same: list[Any] = [now.get(field) == wanted[field] for field in ("endpoints", "ports")]
    return all(same) and _is_of_service(now)


def _is_of_service(obj: Object) -> bool:
    return meta.labels(obj).get(SERVICE_NAME_LABEL) == SERVICE


def _group(endpoint: Endpoint) -> Group:
    return Group("IPv6" if ":" in endpoint.address else "IPv4", endpoint.port)


def _group_of(obj: Object | None) -> Group | None:
    match obj:
        case {"addressType": str(address_type), "ports": [{"port": int(port)}]}:
            return Group(address_type, port)
    return None


def _name(group: Group, main: Group) -> str:
    if group == main:
        return SERVICE
    return f"{SERVICE}-{group.address_type.lower()}-{group.port}"


def _slice(name: str, group: Group, addresses: list[str]) -> Object:
    return {
        "metadata": {"name": name, "labels": {SERVICE_NAME_LABEL: SERVICE}},
        "addressType": group.address_type,
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": True}} for address in addresses
        ],
        "ports": [{"name": PORT_NAME, "port": group.port, "protocol": "TCP"}],
    }
