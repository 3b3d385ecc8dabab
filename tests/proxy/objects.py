"""Services and EndpointSlices for tests; every option has a default."""

from collections.abc import Sequence
from typing import Any

from podling.kube.meta import Object


def service(name: str = "web", cluster_ip: str = "127.23.0.9", **spec: Any) -> Object:
    return {
        "metadata": {"namespace": "default", "name": name},
        "spec": {
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
            **spec,
        },
    }


def endpoint(address: str, *, hostname: str = "", **conditions: bool) -> Object:
    made: Object = {"addresses": [address], "conditions": conditions or {"ready": True}}
    return made | ({"hostname": hostname} if hostname else {})


def endpoint_slice(
    endpoints: Sequence[Object], name: str = "web", port: int = 8080, port_name: str = "http"
) -> Object:
    return {
        "metadata": {
            "namespace": "default",
            "name": f"{name}-abcde",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
    }
