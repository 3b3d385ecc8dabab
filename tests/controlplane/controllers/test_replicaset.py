import pytest

from podling.controlplane.controllers import pod_ranking
from podling.controlplane.controllers.replicaset import (
    next_availability,
    plan_replica_set,
    plan_status,
    pod_from_template,
)
from podling.kube import meta
from podling.kube.meta import Object
from tests.controlplane.controllers.objects import pod, replica_set

NOW = 10_000.0


@pytest.mark.parametrize(
    ("size", "pods", "create", "delete"),
    [
        (3, [], 3, 0),
        (3, [pod("a")], 2, 0),
        (1, [pod("a")], 0, 0),
        (1, [pod("a"), pod("b"), pod("c")], 0, 2),
        (0, [pod("a")], 0, 1),
        (1, [pod("a", phase="Failed")], 1, 0),
        (1, [pod("a", deleting=True)], 1, 0),
        (10_000, [], 500, 0),
    ],
)
def test_the_plan_is_the_difference(
    size: int, pods: list[Object], create: int, delete: int
) -> None:
    plan = plan_replica_set(replica_set(size=size), pods, pods, NOW)
    assert (plan.create, len(plan.delete)) == (create, delete)


def test_a_replica_set_that_goes_does_nothing() -> None:
    going = replica_set(size=3)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    plan = plan_replica_set(going, [], [], NOW)
    assert (plan.create, plan.delete) == (0, ())


@pytest.mark.parametrize(
    ("expendable", "kept"),
    [
        (pod(node=""), pod()),
        (pod(phase="Pending"), pod(ready=False)),
        (pod(ready=False), pod()),
        (pod(ready_at=NOW - 5), pod(ready_at=NOW - 500)),
        (pod(restarts=3), pod()),
        (pod(created=NOW - 5), pod(created=NOW - 500)),
    ],
)
def test_the_least_useful_pod_goes_first(expendable: Object, kept: Object) -> None:
    for order in ([expendable, kept], [kept, expendable]):
        [chosen] = pod_ranking.expendable(order, order, 1, NOW)
        assert chosen is expendable


def test_a_crowded_node_gives_up_first() -> None:
    alone, together = pod("a", node="n-1"), [pod("b", node="n-2"), pod("c", node="n-2")]
    chosen = pod_ranking.expendable([alone, *together], [alone, *together], 2, NOW)
    assert alone not in chosen


def test_the_deletion_cost_speaks_before_the_node() -> None:
    cheap = pod("a")
    cheap["metadata"]["annotations"] = {pod_ranking.DELETION_COST: "-1"}
    dear = pod("b", restarts=9)
    [chosen] = pod_ranking.expendable([dear, cheap], [dear, cheap], 1, NOW)
    assert chosen is cheap


def test_the_status_counts_what_is_ready_and_for_how_long() -> None:
    owner = replica_set(size=3)
    owner["spec"]["minReadySeconds"] = 10
    pods = [
        pod("a", ready_at=NOW - 60),
        pod("b", ready_at=NOW - 4),
        pod("c", ready=False, labels={"app": "web", "more": "1"}),
        pod("d", deleting=True),
        pod("e", phase="Failed"),
    ]
    assert plan_status(owner, pods, None, NOW) == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 1,
        "observedGeneration": 1,
    }
    assert next_availability(owner, pods, NOW) == 6.0


def test_a_failure_is_told_until_it_is_over() -> None:
    owner = replica_set(size=1)
    owner["status"] = plan_status(owner, [], ("FailedCreate", "no room"), NOW)
    [condition] = owner["status"]["conditions"]
    assert (condition["type"], condition["message"]) == ("ReplicaFailure", "no room")
    assert "conditions" not in plan_status(owner, [], None, NOW)


def test_a_pod_is_the_template_with_an_owner() -> None:
    owner = replica_set("r")
    made = pod_from_template(owner, "r-abcde")
    assert made["spec"] == owner["spec"]["template"]["spec"]
    assert meta.labels(made) == {"app": "web"}
    assert meta.is_controlled_by(made, owner)
