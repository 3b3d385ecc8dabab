"""Services and EndpointSlices."""

from typing import Any

from podling.controlplane.apiserver.tables import ages
from podling.controlplane.apiserver.tables.columns import AGE, NAME, Printer, text, wide
from podling.kube import meta
from podling.kube.meta import Object

NONE = "<none>"
#: Ports or addresses of a slice that are spelt out.
_SHOWN = 3


def _service(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    selector = spec.get("selector") or {}
    return [
        meta.name(obj),
        spec.get("type", ""),
        addresses[0] or NONE,
        _external_address(obj),
        ",".join(map(_service_port, spec.get("ports") or ())) or NONE,
        ages.age(obj, now),
        ",".join(f"{name}={value}" for name, value in sorted(selector.items())) or NONE,
    ]


def _service_port(port: Object) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}"


def _external_address(service: Object) -> str:
    spec = service.get("spec") or {}
    external = list(spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    if spec.get("type") == "LoadBalancer":
        balancer = (service.get("status") or {}).get("loadBalancer") or {}
        ingress = [
            point.get("ip") or point.get("hostname", "") for point in balancer.get("ingress") or ()
        ]
        return ",".join(ingress + external) or "<pending>"
    return ",".join(external) or NONE


def _endpoint_slice(obj: Object, now: float) -> list[Any]:
    ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or ()]
    addresses = [
        address
        for endpoint in obj.get("endpoints") or ()
        for address in endpoint.get("addresses") or ()
    ]
    return [
        meta.name(obj),
        obj.get("addressType", ""),
        _some_of(ports),
        _some_of(addresses),
        ages.age(obj, now),
    ]


def _some_of(values: list[str]) -> str:
    shown = ",".join(values[:_SHOWN]) or "<unset>"
    rest = len(values) - _SHOWN
    return f"{shown} + {rest} more..." if rest > 0 else shown


SERVICES = Printer(
    columns=(
        NAME,
        text("Type", "How the service is exposed."),
        text("Cluster-IP", "The service's address inside the cluster."),
        text("External-IP", "Addresses outside of the cluster."),
        text("Port(s)", "Ports of the service, with node ports where it has them."),
        AGE,
        wide("Selector", "Labels of the pods behind the service."),
    ),
    cells=_service,
)

ENDPOINT_SLICES = Printer(
    columns=(
        NAME,
        text("AddressType", "What kind of addresses the slice holds."),
        text("Ports", "Ports that every endpoint of the slice serves."),
        text("Endpoints", "Addresses in the slice."),
        AGE,
    ),
    cells=_endpoint_slice,
)
