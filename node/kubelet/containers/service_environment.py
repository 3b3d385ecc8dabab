"""The environment variables that tell a container where services are. Pure.

For a service `redis-primary` at 10.0.0.11 with TCP port 6379, named `db`:

    REDIS_PRIMARY_SERVICE_HOST=10.0.0.11       REDIS_PRIMARY_PORT=tcp://10.0.0.11:6379
    REDIS_PRIMARY_SERVICE_PORT=6379            REDIS_PRIMARY_PORT_6379_TCP=tcp://10.0.0.11:6379
    REDIS_PRIMARY_SERVICE_PORT_DB=6379         REDIS_PRIMARY_PORT_6379_TCP_PROTO=tcp
                                               REDIS_PRIMARY_PORT_6379_TCP_PORT=6379
                                               REDIS_PRIMARY_PORT_6379_TCP_ADDR=10.0.0.11

Source: Kubernetes documentation, "Service", section "Discovering services", "Environment
variables".
"""

from collections.abc import Iterable

from podling.kube import meta
from podling.kube.meta import Object


def variables(
    services: Iterable[Object], namespace: str, *, links: bool, api_server: Object | None
) -> dict[str, str]:
    """What a pod in `namespace` gets.

    `services` are those of the pod's namespace and count only with `links` (the pod's
    `enableServiceLinks`); `api_server`, the service `kubernetes`, is told to everybody.
    """
    found: dict[str, str] = {}
    if api_server is not None and _has_address(api_server):
        found |= _of_service(api_server)
    if links:
        for service in sorted(services, key=meta.name):
            if meta.namespace(service) == namespace and _has_address(service):
                found |= _of_service(service)
    return found


def _has_address(service: Object) -> bool:
    return service.get("spec", {}).get("clusterIP") not in (None, "", "None")


def _of_service(service: Object) -> dict[str, str]:
    spec = service["spec"]
    address = spec["clusterIP"]
    prefix = _variable_name(meta.name(service))
    ports = spec.get("ports") or []
    found = {f"{prefix}_SERVICE_HOST": address}
    if ports:
        found[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        found[f"{prefix}_PORT"] = _url(address, ports[0])
    for port in ports:
        if port.get("name"):
            found[f"{prefix}_SERVICE_PORT_{_variable_name(port['name'])}"] = str(port["port"])
        protocol = port.get("protocol", "TCP")
        link = f"{prefix}_PORT_{port['port']}_{protocol}"
        found[link] = _url(address, port)
        found[f"{link}_PROTO"] = protocol.lower()
        found[f"{link}_PORT"] = str(port["port"])
        found[f"{link}_ADDR"] = address
    return found


def _url(address: str, port: Object) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"{port.get('protocol', 'TCP').lower()}://{host}:{port['port']}"


def _variable_name(text: str) -> str:
    return text.upper().replace("-", "_")
