import copy

import pytest

from podling.controlplane.apiserver.strategies import STRATEGIES, scale
from podling.controlplane.apiserver.strategies.strategy import WriteContext
from podling.kube import kinds
from podling.kube.meta import Object
from tests.controlplane.apiserver.strategies.objects import deployment

strategy = STRATEGIES[kinds.DEPLOYMENT]
NOW = WriteContext(now=0.0)


def created(obj: Object) -> Object:
    strategy.default(obj)
    strategy.prepare_create(obj, NOW)
    return obj


def test_a_minimal_deployment_gets_its_defaults() -> None:
    spec = created(deployment())["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    template = spec["template"]["spec"]
    assert template["restartPolicy"] == "Always"
    assert "enableServiceLinks" not in template


def test_a_replica_set_starts_with_a_count_of_zero() -> None:
    obj = deployment()
    replica_sets = STRATEGIES[kinds.REPLICA_SET]
    replica_sets.default(obj)
    replica_sets.prepare_create(obj, NOW)
    assert obj["status"] == {"replicas": 0}
    assert "strategy" not in obj["spec"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"replicas": 0}, []),
        (
            {"replicas": -1},
            ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
        ),
        ({"selector": None}, ["spec.selector: Required value"]),
        (
            {"selector": {}},
            ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
        ),
        (
            {"selector": {"matchLabels": {"app": "other"}}},
            [
                'spec.template.metadata.labels: Invalid value: {"app":"web"}: '
                "`selector` does not match template `labels`"
            ],
        ),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {}}},
            [
                "spec.strategy.rollingUpdate: Forbidden: "
                "may not be specified when strategy `type` is 'Recreate'"
            ],
        ),
        (
            {"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}}},
            [
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: "
                "may not be 0 when `maxSurge` is 0"
            ],
        ),
        (
            {"minReadySeconds": 5, "progressDeadlineSeconds": 5},
            [
                "spec.progressDeadlineSeconds: Invalid value: 5: "
                "must be greater than minReadySeconds"
            ],
        ),
    ],
)
def test_mistakes_are_named_with_their_path(spec: Object, expected: list[str]) -> None:
    obj = deployment(**spec)
    strategy.default(obj)
    assert [str(error) for error in strategy.validate(obj)] == expected


def test_a_template_must_restart_its_pods() -> None:
    obj = deployment()
    obj["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    strategy.default(obj)
    [error] = strategy.validate(obj)
    assert error.field == "spec.template.spec.restartPolicy"


def test_the_selector_never_changes() -> None:
    old = created(deployment())
    new = copy.deepcopy(old)
    new["spec"]["selector"] = {"matchLabels": {"app": "new"}}
    new["spec"]["template"]["metadata"]["labels"] = {"app": "new"}
    [error] = strategy.validate_update(new, old)
    assert str(error).endswith("field is immutable")


def test_generation_counts_changes_of_the_spec_only() -> None:
    old = created(deployment())
    relabelled = copy.deepcopy(old)
    relabelled["metadata"]["labels"] = {"a": "b"}
    relabelled["status"] = {"replicas": 7}
    strategy.prepare_update(relabelled, old, NOW)
    assert relabelled["metadata"]["generation"] == 1
    assert relabelled["status"] == {}
    scaled = copy.deepcopy(old)
    scaled["spec"]["replicas"] = 3
    strategy.prepare_update(scaled, old, NOW)
    assert scaled["metadata"]["generation"] == 2


def test_a_write_to_the_status_may_annotate_but_not_label() -> None:
    old = created(deployment())
    new = copy.deepcopy(old)
    new["metadata"] |= {"annotations": {"deployment.kubernetes.io/revision": "2"}, "labels": {}}
    new["status"] = {"replicas": 1}
    strategy.prepare_status(new, old)
    assert new["metadata"] == {**old["metadata"], "annotations": new["metadata"]["annotations"]}
    assert new["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "2"}
    assert strategy.validate_status(new, old) == []
    new["status"] = {"replicas": 1, "readyReplicas": 2}
    assert len(strategy.validate_status(new, old)) == 1


def test_scale_shows_and_sets_the_count() -> None:
    obj = created(deployment(replicas=2))
    obj["metadata"]["resourceVersion"] = "7"
    obj["status"] = {"replicas": 1}
    shown = scale.scale_of(obj)
    assert shown["apiVersion"] == "autoscaling/v1"
    assert shown["spec"] == {"replicas": 2}
    assert shown["status"] == {"replicas": 1, "selector": "app=web"}
    shown["spec"]["replicas"] = 5
    assert scale.apply_scale(obj, shown)["spec"]["replicas"] == 5
    assert obj["spec"]["replicas"] == 2
    [error] = scale.validate_scale({"spec": {"replicas": -1}})
    assert error.field == "spec.replicas"
