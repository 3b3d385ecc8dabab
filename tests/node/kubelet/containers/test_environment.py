import base64
from typing import Any

import pytest

from podling.kube.meta import Object
from podling.node.kubelet.containers import environment
from podling.node.kubelet.containers.downward import PodFacts
from podling.node.kubelet.containers.environment import EnvironmentInputs
from podling.node.kubelet.containers.references import MissingReferenceError, Sources
from tests.node.kubelet.builders import UID, container_spec, pod

CONFIG_MAP: Object = {
    "metadata": {"name": "settings"},
    "data": {"colour": "blue", "SIZE": "9"},
    "binaryData": {"raw": base64.b64encode(b"bytes").decode()},
}
SECRET: Object = {"data": {"password": base64.b64encode(b"hunter2").decode()}}
FACTS = PodFacts(("127.9.64.2",), ("127.9.64.1",), {"cpu": "4", "memory": "8Gi"})


def build(spec: Object, of: Object | None = None, **services: str) -> dict[str, str]:
    sources = Sources({("ConfigMap", "settings"): CONFIG_MAP, ("Secret", "login"): SECRET})
    return environment.build(of or pod(spec), spec, EnvironmentInputs(sources, services, FACTS))


def value_of(source: Object, **spec: Any) -> str:
    entry = {"name": "X", "valueFrom": source}
    return build(container_spec(env=[entry], **spec))["X"]


def test_values_are_expanded_with_what_was_declared_before() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)-$(C)-$(REDIS_SERVICE_HOST)"},
        {"name": "C", "value": "3"},
    ]
    built = build(container_spec(env=env), REDIS_SERVICE_HOST="127.9.0.11")
    assert built["B"] == "1-$(C)-127.9.0.11"


def test_everything_of_a_config_map_and_a_secret_comes_under_a_prefix() -> None:
    env_from = [
        {"configMapRef": {"name": "settings"}},
        {"prefix": "DB_", "secretRef": {"name": "login"}},
    ]
    built = build(container_spec(envFrom=env_from, env=[{"name": "SIZE", "value": "own"}]))
    assert built["colour"] == "blue"
    assert built["raw"] == "bytes"
    assert built["DB_password"] == "hunter2"
    assert built["SIZE"] == "own"


def test_the_pod_s_address_and_services_only_fill_gaps() -> None:
    assert build(container_spec(), A_PORT="1") == {"A_PORT": "1", "POD_IP": "127.9.64.2"}
    env = [{"name": "POD_IP", "value": "mine"}, {"name": "A_PORT", "value": "mine"}]
    assert set(build(container_spec(env=env), A_PORT="1").values()) == {"mine"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "default"),
        ("metadata.uid", UID),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "node-1"),
        ("status.podIP", "127.9.64.2"),
        ("status.podIPs", "127.9.64.2"),
        ("status.hostIP", "127.9.64.1"),
    ],
)
def test_fields_of_the_pod(path: str, expected: str) -> None:
    assert value_of({"fieldRef": {"fieldPath": path}}) == expected


@pytest.mark.parametrize(
    ("resource", "divisor", "expected"),
    [
        ("limits.cpu", "0", "2"),
        ("limits.cpu", "1m", "1500"),
        ("requests.cpu", "1m", "1500"),
        ("limits.memory", "1Mi", "8192"),
        ("requests.memory", "1Mi", "64"),
        ("requests.ephemeral-storage", "0", "0"),
    ],
)
def test_resources_of_the_container(resource: str, divisor: str, expected: str) -> None:
    source = {"resourceFieldRef": {"resource": resource, "divisor": divisor}}
    resources = {"limits": {"cpu": "1500m"}, "requests": {"memory": "64Mi"}}
    assert value_of(source, resources=resources) == expected


def test_keys_of_config_maps_and_secrets() -> None:
    assert value_of({"configMapKeyRef": {"name": "settings", "key": "colour"}}) == "blue"
    assert value_of({"secretKeyRef": {"name": "login", "key": "password"}}) == "hunter2"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        (
            {"configMapKeyRef": {"name": "settings", "key": "none"}},
            "couldn't find key none in ConfigMap default/settings",
        ),
        ({"fieldRef": {"fieldPath": "spec.secrets"}}, "unsupported fieldPath: spec.secrets"),
    ],
)
def test_what_is_missing_is_named(source: Object, text: str) -> None:
    with pytest.raises(MissingReferenceError, match=text):
        value_of(source)


def test_what_is_optional_may_be_missing() -> None:
    env = [
        {"name": "X", "valueFrom": {"secretKeyRef": {"name": "n", "key": "k", "optional": True}}},
        {
            "name": "Y",
            "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "none", "optional": True}},
        },
    ]
    env_from = [{"configMapRef": {"name": "none", "optional": True}}]
    assert set(build(container_spec(env=env, envFrom=env_from))) == {"POD_IP"}
