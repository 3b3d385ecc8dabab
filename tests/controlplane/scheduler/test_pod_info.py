from typing import Any

import pytest

from podling.controlplane.scheduler.pod_info import HostPort, Toleration, pod_info
from podling.kube import quantity
from podling.kube.meta import Object
from tests.controlplane.scheduler.objects import a_pod, pod


def container(cpu: str, **more: str) -> Object:
    return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}


def cpu(**spec: object) -> str:
    found = pod_info(pod() | {"spec": {"containers": [container("1")], **spec}})
    return str(quantity.Quantity(found.requests["cpu"]))


@pytest.mark.parametrize(
    ("spec", "amount"),
    [
        ({}, "1"),
        ({"containers": [container("1"), container("500m")]}, "1500m"),
        ({"initContainers": [container("3"), container("2")]}, "3"),
        ({"initContainers": [container("500m")]}, "1"),
        ({"initContainers": [container("1", restartPolicy="Always")]}, "2"),
        ({"initContainers": [container("1", restartPolicy="Always"), container("3")]}, "4"),
        ({"initContainers": [container("3"), container("1", restartPolicy="Always")]}, "3"),
        ({"overhead": {"cpu": "250m"}}, "1250m"),
    ],
)
def test_a_pod_is_promised_the_most_it_needs_at_any_time(
    spec: dict[str, object], amount: str
) -> None:
    assert cpu(**spec) == amount


def test_a_limit_stands_for_a_missing_request() -> None:
    resources = {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}
    found = pod_info(pod() | {"spec": {"containers": [{"name": "c", "resources": resources}]}})
    assert found.requests["cpu"] == quantity.parse("1").nanos
    assert found.requests["memory"] == quantity.parse("1Gi").nanos


def test_containers_without_requests_are_taken_to_use_something() -> None:
    assert a_pod().assumed_cpu == quantity.parse("100m").nanos
    assert a_pod(requests={"cpu": "2"}).assumed_cpu == quantity.parse("2").nanos


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({}, True),
        ({"node_name": "n1"}, False),
        ({"phase": "Succeeded"}, False),
        ({"schedulingGates": [{"name": "example.org/x"}]}, False),
    ],
)
def test_who_waits_for_a_node(changes: dict[str, Any], waits: bool) -> None:
    assert a_pod(**changes).waits is waits


def test_who_is_being_deleted_waits_for_no_node() -> None:
    deleted = pod()
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not pod_info(deleted).waits


def test_pods_of_one_owner_or_of_the_same_labels_are_a_group() -> None:
    assert a_pod("a", owner="x").group == a_pod("b", owner="x", labels={"a": "b"}).group
    assert a_pod("a", labels={"app": "x"}).group == a_pod("b", labels={"app": "x"}).group
    assert a_pod("a", labels={"app": "x"}).group != a_pod("b", labels={"app": "y"}).group
    assert a_pod("a").group is None


def test_nothing_has_changed_if_only_the_status_has() -> None:
    assert a_pod(phase="Pending") == a_pod(phase="Running")
    assert a_pod() != a_pod(labels={"a": "b"})


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (("0.0.0.0", "TCP", 80), ("127.0.0.1", "TCP", 80), True),
        (("127.0.0.1", "TCP", 80), ("127.0.0.2", "TCP", 80), False),
        (("0.0.0.0", "TCP", 80), ("0.0.0.0", "UDP", 80), False),
        (("0.0.0.0", "TCP", 80), ("0.0.0.0", "TCP", 81), False),
    ],
)
def test_host_ports_clash_on_the_same_address_and_protocol(
    one: tuple[str, str, int], other: tuple[str, str, int], clash: bool
) -> None:
    assert HostPort(*one).clashes(HostPort(*other)) is clash
    assert HostPort(*other).clashes(HostPort(*one)) is clash


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "value": "v", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"operator": "Exists"}, True),
    ],
)
def test_what_a_toleration_tolerates(toleration: dict[str, str], tolerated: bool) -> None:
    (found,) = a_pod(tolerations=[toleration]).tolerations
    assert isinstance(found, Toleration)
    assert found.tolerates({"key": "k", "value": "v", "effect": "NoSchedule"}) is tolerated
