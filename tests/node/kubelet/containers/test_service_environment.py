from typing import Any

from podling.kube.meta import Object
from podling.node.kubelet.containers.service_environment import variables


def service(name: str, address: str, *ports: Object, namespace: str = "default") -> Object:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "ports": list(ports)},
    }


KUBERNETES = service("kubernetes", "127.9.0.1", {"name": "https", "port": 443})
REDIS = service("redis-primary", "127.9.0.11", {"name": "db", "port": 6379, "protocol": "TCP"})


def build(*services: Object, **options: Any) -> dict[str, str]:
    options = {"links": True, "api_server": KUBERNETES} | options
    return variables(services, "default", **options)


def test_a_service_gives_the_documented_variables() -> None:
    assert build(REDIS, api_server=None) == {
        "REDIS_PRIMARY_SERVICE_HOST": "127.9.0.11",
        "REDIS_PRIMARY_SERVICE_PORT": "6379",
        "REDIS_PRIMARY_SERVICE_PORT_DB": "6379",
        "REDIS_PRIMARY_PORT": "tcp://127.9.0.11:6379",
        "REDIS_PRIMARY_PORT_6379_TCP": "tcp://127.9.0.11:6379",
        "REDIS_PRIMARY_PORT_6379_TCP_PROTO": "tcp",
        "REDIS_PRIMARY_PORT_6379_TCP_PORT": "6379",
        "REDIS_PRIMARY_PORT_6379_TCP_ADDR": "127.9.0.11",
    }


def test_without_links_only_the_api_server_is_told() -> None:
    found = build(REDIS, links=False)
    assert found["KUBERNETES_SERVICE_HOST"] == "127.9.0.1"
    assert found["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert not any(name.startswith("REDIS") for name in found)


def test_headless_services_and_other_namespaces_are_left_out() -> None:
    headless = service("headless", "None", {"port": 1})
    other = service("other", "127.9.0.12", {"port": 1}, namespace="elsewhere")
    assert build(headless, other, api_server=None) == {}
