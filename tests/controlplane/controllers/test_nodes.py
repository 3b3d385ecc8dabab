"""Taints, eviction, node conditions and networks: the plans."""

from typing import Any

import pytest

from podling.controlplane.controllers import taints
from podling.controlplane.controllers.node_ipam import Range, plan_network
from podling.controlplane.controllers.node_lifecycle import plan_node
from podling.controlplane.controllers.taint_eviction import plan_eviction
from podling.kube import conditions, timestamps
from podling.kube.meta import Object
from tests.controlplane.controllers.objects import node, pod

NOW = 10_000.0
UNREACHABLE = {
    "key": taints.UNREACHABLE,
    "effect": "NoExecute",
    "timeAdded": timestamps.format_time(NOW),
}


def marks(found: list[Object] | None) -> set[tuple[str, str]]:
    return {(taint["key"].partition("/")[2], taint["effect"]) for taint in found or ()}


@pytest.mark.parametrize(
    ("ready", "evict", "expected"),
    [
        ("True", True, set()),
        ("False", True, {("not-ready", "NoSchedule"), ("not-ready", "NoExecute")}),
        ("Unknown", True, {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}),
        ("Unknown", False, {("unreachable", "NoSchedule")}),
    ],
)
def test_taints_follow_the_conditions(ready: str, evict: bool, expected: set[Any]) -> None:
    assert marks(taints.wanted(node(ready=ready), evict=evict, now=NOW)) == expected


def test_other_taints_stay_and_ours_keep_their_time() -> None:
    foreign = {"key": "dedicated", "effect": "NoSchedule"}
    old = {**UNREACHABLE, "timeAdded": timestamps.format_time(NOW - 60)}
    found = taints.wanted(node(ready="Unknown", taints=[foreign, old]), evict=True, now=NOW)
    assert foreign in found
    assert old in found
    healed = taints.wanted(node(taints=[foreign, old]), evict=True, now=NOW)
    assert healed == [foreign]


def test_a_node_that_is_cordoned_or_full_takes_no_pods() -> None:
    full = node(unschedulable=True)
    full["status"]["conditions"].append({"type": "MemoryPressure", "status": "True"})
    found = marks(taints.wanted(full, evict=True, now=NOW))
    assert found == {("unschedulable", "NoSchedule"), ("memory-pressure", "NoSchedule")}


def test_a_silent_node_is_unknown_in_every_respect() -> None:
    plan = plan_node(node(), silent=True, evict=True, now=NOW)
    assert plan.conditions is not None
    assert {condition["status"] for condition in plan.conditions} == {"Unknown"}
    assert len(plan.conditions) == 4
    ready = conditions.find(plan.conditions, "Ready")
    assert ready is not None
    assert ready["message"] == "Kubelet stopped posting node status."
    assert marks(plan.taints) == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}


def test_a_node_that_is_well_needs_nothing() -> None:
    plan = plan_node(node(), silent=False, evict=True, now=NOW)
    assert (plan.conditions, plan.taints) == (None, None)


def tolerating(seconds: int | None = None, **fields: Any) -> Object:
    toleration = {"key": taints.UNREACHABLE, "operator": "Exists", **fields}
    if seconds is not None:
        toleration["tolerationSeconds"] = seconds
    return pod(tolerations=[toleration])


@pytest.mark.parametrize(
    ("victim", "seconds"),
    [
        (pod(), 0.0),
        (tolerating(), None),
        (tolerating(5), 5.0),
        (tolerating(0), 0.0),
        (tolerating(5, effect="NoSchedule"), 0.0),
        (tolerating(5, key="other"), 0.0),
        (pod(phase="Succeeded"), None),
    ],
)
def test_a_pod_stays_as_long_as_it_tolerates(victim: Object, seconds: float | None) -> None:
    found = plan_eviction(victim, node(taints=[UNREACHABLE]), NOW)
    assert (None if found is None else found.after) == seconds
    assert found is None or found.force


def test_on_a_node_that_can_be_reached_pods_are_stopped_in_good_order() -> None:
    mild = {"key": taints.NOT_READY, "effect": "NoExecute"}
    found = plan_eviction(pod(), node(taints=[mild]), NOW)
    assert found is not None
    assert not found.force


def test_a_pod_that_is_stopping_on_a_lost_node_is_given_its_time() -> None:
    victim = pod(deleting=True)
    victim["metadata"]["deletionTimestamp"] = timestamps.format_time(NOW + 7)
    found = plan_eviction(victim, node(taints=[UNREACHABLE]), NOW)
    assert found is not None
    assert (found.after, found.force) == (7.0, True)
    assert plan_eviction(victim, node(), NOW) is None


def test_nobody_leaves_a_node_without_such_taints() -> None:
    assert plan_eviction(pod(), node(), NOW) is None


PARTS = Range("127.5.64.0/22", 24)


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("node-2", [], "127.5.66.0/24"),
        ("node-2", ["127.5.66.0/24"], "127.5.65.0/24"),
        ("worker", [], "127.5.65.0/24"),
        ("node-900", ["127.5.65.0/24"], "127.5.66.0/24"),
        ("node-0", [], "127.5.65.0/24"),
        ("x", [f"127.5.{n}.0/24" for n in (65, 66, 67)], "127.5.64.0/24"),
        ("x", [f"127.5.{n}.0/24" for n in (64, 65, 66, 67)], None),
    ],
)
def test_a_node_gets_the_network_of_its_number(
    name: str, taken: list[str], expected: str | None
) -> None:
    assert plan_network(PARTS, name, taken) == expected


def test_a_range_must_have_parts() -> None:
    with pytest.raises(ValueError, match="no parts"):
        Range("127.5.64.0/26", 24)
