"""From a Service and its pods to endpoints and ports. Pure.

Pods of one Service may differ in their ports, where a Service's target port is a name: those with
the same port numbers share slices. Source: the Kubernetes document "EndpointSlices".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from podling.controlplane.controllers import pod_state
from podling.kube import meta
from podling.kube.meta import Object

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
MANAGER = "endpointslice-controller.k8s.io"
TOPOLOGY_ZONE = "topology.kubernetes.io/zone"

#: (name, protocol, number, application protocol) of each port; also names the group.
Ports = tuple[tuple[str, str, int, str], ...]


def is_managed(service: Object) -> bool:
    """Whether the endpoints of a Service are found by its selector."""
    spec = service.get("spec") or {}
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def address_types(service: Object) -> list[str]:
    return list((service.get("spec") or {}).get("ipFamilies") or ["IPv4"])


def group_by_ports(
    service: Object, pods: Iterable[Object], zones: Mapping[str, str], family: str
) -> dict[Ports, list[Object]]:
    """The endpoints of one address family; `zones` maps nodes to zones."""
    groups: dict[Ports, list[Object]] = {}
    for pod in pods:
        address = _address(pod, family)
        if address and not pod_state.is_finished(pod):
            ports = resolve_ports(service, pod)
            groups.setdefault(ports, []).append(endpoint(service, pod, address, zones))
    return groups


def resolve_ports(service: Object, pod: Object) -> Ports:
    """The Service's ports as numbers of this pod; a name that it lacks is left out."""
    resolved = []
    for port in (service.get("spec") or {}).get("ports") or ():
        protocol = port.get("protocol") or "TCP"
        number = _target(port, protocol, pod)
        if number is not None:
            application = port.get("appProtocol") or ""
            resolved.append((port.get("name") or "", protocol, number, application))
    return tuple(resolved)


def endpoint(service: Object, pod: Object, address: str, zones: Mapping[str, str]) -> Object:
    """One pod behind the Service.

    A pod that is going is served by nobody new (`ready` is false), but may still serve.
    """
    spec = service.get("spec") or {}
    serving, terminating = pod_state.is_ready(pod), meta.is_deleting(pod)
    ready = bool(spec.get("publishNotReadyAddresses")) or (serving and not terminating)
    found: Object = {
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {
            "kind": "Pod",
            "namespace": meta.namespace(pod),
            "name": meta.name(pod),
            "uid": meta.uid(pod),
        },
    }
    pod_spec = pod.get("spec") or {}
    if hostname := _hostname(service, pod_spec):
        found["hostname"] = hostname
    if node := pod_state.node_name(pod):
        found["nodeName"] = node
        if zone := zones.get(node):
            found["zone"] = zone
    return found


def port_objects(ports: Ports) -> list[Object]:
    """As an EndpointSlice writes them."""
    return [
        {
            "name": name,
            "protocol": protocol,
            "port": number,
            **({"appProtocol": application} if application else {}),
        }
        for name, protocol, number, application in ports
    ]


def ports_of(slice_: Object) -> Ports:
    """The inverse of `port_objects`."""
    return tuple(
        (
            port.get("name") or "",
            port.get("protocol") or "TCP",
            port.get("port") or 0,
            port.get("appProtocol") or "",
        )
        for port in slice_.get("ports") or ()
    )


def slice_labels(service: Object) -> dict[str, str]:
    """The Service's own labels, and those by which its slices are found."""
    labels = {
        name: value
        for name, value in meta.labels(service).items()
        if name not in (SERVICE_NAME, MANAGED_BY, HEADLESS)
    }
    labels |= {SERVICE_NAME: meta.name(service), MANAGED_BY: MANAGER}
    if (service.get("spec") or {}).get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return labels


def _target(port: Object, protocol: str, pod: Object) -> int | None:
    target: Any = port.get("targetPort")
    if isinstance(target, int) and target:
        return target
    if not target:
        return int(port.get("port") or 0) or None
    spec = pod.get("spec") or {}
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy")]
    for container in (*(spec.get("containers") or ()), *sidecars):
        for candidate in container.get("ports") or ():
            named = candidate.get("name") == target
            if named and (candidate.get("protocol") or "TCP") == protocol:
                return int(candidate["containerPort"])
    return None


def _hostname(service: Object, pod_spec: Object) -> str:
    """Only a pod that asks for it, in the subdomain of this Service, gets a name of its own."""
    if pod_spec.get("subdomain") != meta.name(service):
        return ""
    return str(pod_spec.get("hostname") or "")


def _address(pod: Object, family: str) -> str:
    status = pod.get("status") or {}
    addresses = [entry.get("ip", "") for entry in status.get("podIPs") or ()]
    for address in addresses or [status.get("podIP") or ""]:
        if address and (":" in address) == (family == "IPv6"):
            return str(address)
    return ""
