from typing import Any

import pytest

from podling.controlplane.scheduler import filters
from podling.controlplane.scheduler.filters import FILTERS
from podling.controlplane.scheduler.node_info import NodeInfo
from podling.controlplane.scheduler.pod_info import PodInfo
from tests.controlplane.scheduler.objects import a_node, a_pod, expression, node_affinity

DEDICATED = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}


def objections(pod: PodInfo, node: NodeInfo, *others: NodeInfo) -> list[str]:
    """Of the first filter that has one."""
    asked = filters.question(pod, (node, *others))
    for objects in FILTERS:
        if against := objects(asked, node):
            return against
    return []


def required(*terms: Any) -> dict[str, Any]:
    return {"affinity": node_affinity("required", {"nodeSelectorTerms": list(terms)})}


@pytest.mark.parametrize(
    ("pod", "node", "against"),
    [
        pytest.param({}, {}, [], id="an empty node takes a pod without wishes"),
        pytest.param({}, {"unschedulable": True}, [filters.UNSCHEDULABLE], id="cordoned"),
        pytest.param(
            {"tolerations": [{"operator": "Exists"}]},
            {"unschedulable": True},
            [],
            id="a cordon is tolerated like the taint it stands for",
        ),
        pytest.param(
            {},
            {"taints": [DEDICATED]},
            ["node(s) had untolerated taint {dedicated: db}"],
            id="tainted",
        ),
        pytest.param(
            {"tolerations": [{"key": "dedicated", "value": "db"}]},
            {"taints": [DEDICATED]},
            [],
            id="tolerated",
        ),
        pytest.param(
            {},
            {"taints": [DEDICATED | {"effect": "PreferNoSchedule"}]},
            [],
            id="a soft taint forbids nothing",
        ),
        pytest.param(
            {"nodeSelector": {"disk": "ssd"}}, {}, [filters.AFFINITY], id="selector without label"
        ),
        pytest.param(
            {"nodeSelector": {"disk": "ssd"}}, {"labels": {"disk": "ssd"}}, [], id="selector"
        ),
        pytest.param(
            required({"matchExpressions": [expression("cores", "Gt", "3")]}),
            {"labels": {"cores": "4"}},
            [],
            id="affinity by comparison",
        ),
        pytest.param(
            required(
                {"matchExpressions": [expression("zone", "In", "a")]},
                {"matchExpressions": [expression("zone", "In", "b")]},
            ),
            {"labels": {"zone": "b"}},
            [],
            id="one alternative of an affinity is enough",
        ),
        pytest.param(
            required({"matchExpressions": [expression("zone", "NotIn", "a")]}),
            {"labels": {"zone": "a"}},
            [filters.AFFINITY],
            id="affinity by exclusion",
        ),
        pytest.param(
            required({"matchFields": [expression("metadata.name", "In", "n2")]}),
            {},
            [filters.AFFINITY],
            id="affinity by name",
        ),
        pytest.param(required({}), {}, [filters.AFFINITY], id="an empty alternative fits nowhere"),
        pytest.param(
            {"requests": {"cpu": "5", "memory": "9Gi"}},
            {},
            ["Insufficient cpu", "Insufficient memory"],
            id="all resources that lack are named",
        ),
        pytest.param({"requests": {"cpu": "4"}}, {}, [], id="exactly all of the node"),
        pytest.param(
            {"requests": {"example.org/gpu": "1"}},
            {},
            ["Insufficient example.org/gpu"],
            id="a resource the node does not have",
        ),
        pytest.param({}, {"pods": "0"}, [filters.TOO_MANY_PODS], id="no pods at all"),
    ],
)
def test_what_speaks_against_a_node(
    pod: dict[str, Any], node: dict[str, Any], against: list[str]
) -> None:
    assert sorted(objections(a_pod(**pod), a_node(**node))) == against


def test_what_runs_already_counts() -> None:
    node = a_node(running=[a_pod("a", requests={"cpu": "3"})])
    assert objections(a_pod(requests={"cpu": "1"}), node) == []
    assert objections(a_pod(requests={"cpu": "1001m"}), node) == ["Insufficient cpu"]


def test_the_number_of_pods_is_limited() -> None:
    assert objections(a_pod(), a_node(pods="2", running=[a_pod("a")])) == []
    assert objections(a_pod(), a_node(pods="1", running=[a_pod("a")])) == [filters.TOO_MANY_PODS]


def test_a_port_of_the_node_is_given_once() -> None:
    node = a_node(running=[a_pod("a", host_port=80)])
    assert objections(a_pod(host_port=80), node) == [filters.PORTS]
    assert objections(a_pod(host_port=81), node) == []


def spread(**more: Any) -> dict[str, Any]:
    constraint = {
        "topologyKey": "zone",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "x"}},
    }
    return {"labels": {"app": "x"}, "topologySpreadConstraints": [constraint | more]}


def test_a_fuller_zone_is_closed_until_the_others_follow() -> None:
    running = [a_pod("a", labels={"app": "x"})]
    full = a_node("n1", labels={"zone": "a"}, running=running)
    empty = a_node("n2", labels={"zone": "b"})
    nowhere = a_node("n3")
    pod = a_pod(**spread())
    assert objections(pod, full, empty) == [filters.SPREAD]
    assert objections(pod, empty, full) == []
    assert objections(pod, nowhere, full) == [filters.SPREAD_LABEL]
    assert objections(a_pod(**spread(maxSkew=2)), full, empty) == []
    assert objections(a_pod(**spread(whenUnsatisfiable="ScheduleAnyway")), full, empty) == []


def test_zones_the_pod_may_not_use_do_not_count_as_empty() -> None:
    running = [a_pod("a", labels={"app": "x"})]
    full = a_node("n1", labels={"zone": "a", "disk": "ssd"}, running=running)
    pod = a_pod(**spread(), nodeSelector={"disk": "ssd"})
    assert objections(pod, full, a_node("n2", labels={"zone": "b"})) == []


def test_pods_of_other_namespaces_or_generations_do_not_count() -> None:
    other = a_pod("a", labels={"app": "x", "pod-template-hash": "1"})
    full = a_node("n1", labels={"zone": "a"}, running=[other])
    pod = spread(matchLabelKeys=["pod-template-hash"])
    pod["labels"] = {"app": "x", "pod-template-hash": "2"}
    assert objections(a_pod(**pod), full, a_node("n2", labels={"zone": "b"})) == []
