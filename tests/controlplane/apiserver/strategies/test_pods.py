import copy
from collections.abc import Callable

import pytest

from podling.controlplane.apiserver.strategies import STRATEGIES
from podling.controlplane.apiserver.strategies.pod_defaults import pull_policy
from podling.controlplane.apiserver.strategies.pods import qos_class
from podling.controlplane.apiserver.strategies.strategy import WriteContext
from podling.kube import kinds
from podling.kube.meta import Object
from tests.controlplane.apiserver.strategies.objects import container, pod

strategy = STRATEGIES[kinds.POD]
NOW = WriteContext(now=0.0)


def created(obj: Object) -> Object:
    strategy.default(obj)
    strategy.prepare_create(obj, NOW)
    return obj


def texts(obj: Object) -> list[str]:
    strategy.default(obj)
    return [str(error) for error in strategy.validate(obj)]


def test_a_minimal_pod_gets_every_default_that_controllers_rely_on() -> None:
    made = created(pod())
    assert made["metadata"]["generation"] == 1
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["spec"] == {
        "containers": [
            {
                "name": "main",
                "image": "web:1",
                "imagePullPolicy": "IfNotPresent",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }


def test_nested_parts_get_theirs() -> None:
    probe = {"httpGet": {"port": 8080}}
    environment = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    main = container(
        ports=[{"containerPort": 8080}],
        readinessProbe=probe,
        env=environment,
        resources={"limits": {"cpu": "1"}},
    )
    volumes = [{"name": "a"}, {"name": "b", "secret": {"secretName": "s"}}]
    spec = created(pod(containers=[main], volumes=volumes, serviceAccountName="robot"))["spec"]
    main = spec["containers"][0]
    assert main["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]
    assert main["readinessProbe"] == {
        "httpGet": {"port": 8080, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert main["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert main["resources"]["requests"] == {"cpu": "1"}
    assert spec["volumes"][0] == {"name": "a", "emptyDir": {}}
    assert spec["volumes"][1]["secret"]["defaultMode"] == 0o644
    assert spec["serviceAccount"] == "robot"


def test_defaulting_twice_changes_nothing() -> None:
    once = created(pod(volumes=[{"name": "a"}]))
    twice = copy.deepcopy(once)
    strategy.default(twice)
    assert twice == once


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("web", "Always"),
        ("web:latest", "Always"),
        ("web:1", "IfNotPresent"),
        ("host:5000/web", "Always"),
        ("web@sha256:0", "IfNotPresent"),
    ],
)
def test_the_tag_decides_the_pull_policy(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        (
            {
                "limits": {"cpu": "1", "memory": "1Gi"},
                "requests": {"cpu": "1000m", "memory": "1Gi"},
            },
            "Guaranteed",
        ),
        (
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1"}},
            "Burstable",
        ),
    ],
)
def test_quality_of_service_follows_from_requests_and_limits(
    resources: Object, expected: str
) -> None:
    assert qos_class(pod(containers=[container(resources=resources)])["spec"]) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": []}, ["spec.containers: Required value"]),
        ({"containers": [{"name": "a"}]}, ["spec.containers[0].image: Required value"]),
        (
            {"containers": [container(), container()]},
            ['spec.containers[1].name: Duplicate value: "main"'],
        ),
        (
            {"containers": [container()], "initContainers": [container()]},
            ['spec.initContainers[0].name: Duplicate value: "main"'],
        ),
        (
            {"restartPolicy": "Sometimes"},
            [
                'spec.restartPolicy: Unsupported value: "Sometimes": supported values: '
                '"Always", "Never", "OnFailure"'
            ],
        ),
        (
            {"containers": [container(ports=[{"containerPort": 70000}])]},
            [
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: "
                "must be between 1 and 65535, inclusive"
            ],
        ),
        (
            {"containers": [container(volumeMounts=[{"name": "v", "mountPath": "/v"}])]},
            ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
        ),
        (
            {
                "containers": [
                    container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})
                ]
            },
            [
                'spec.containers[0].resources.requests: Invalid value: "2": '
                "must be less than or equal to cpu limit of 1"
            ],
        ),
        (
            {"containers": [container(resources={"requests": {"cpu": "-1"}})]},
            [
                'spec.containers[0].resources.requests[cpu]: Invalid value: "-1": '
                "must be greater than or equal to 0"
            ],
        ),
        (
            {"containers": [container(env=[{"name": "A", "valueFrom": {}}])]},
            [
                'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: '
                "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
            ],
        ),
        (
            {"containers": [container(livenessProbe={})]},
            ["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
        ),
        (
            {
                "containers": [
                    container(livenessProbe={"tcpSocket": {"port": 1}, "successThreshold": 2})
                ]
            },
            ["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"],
        ),
        (
            {"tolerations": [{"key": "a", "tolerationSeconds": 1}]},
            [
                'spec.tolerations[0].effect: Invalid value: "": '
                "effect must be 'NoExecute' when `tolerationSeconds` is set"
            ],
        ),
        (
            {"volumes": [{"name": "a", "secret": {}}, {"name": "a", "hostPath": {"path": "/"}}]},
            [
                "spec.volumes[0].secret.secretName: Required value",
                'spec.volumes[1].name: Duplicate value: "a"',
            ],
        ),
        (
            {"activeDeadlineSeconds": 0},
            [
                "spec.activeDeadlineSeconds: Invalid value: 0: "
                "must be between 1 and 2147483647, inclusive"
            ],
        ),
    ],
)
def test_mistakes_are_named_with_their_path(spec: Object, expected: list[str]) -> None:
    assert texts(pod(**spec)) == expected


def test_a_good_pod_is_accepted() -> None:
    main = container(
        ports=[{"name": "http", "containerPort": 80}],
        livenessProbe={"exec": {"command": ["true"]}},
        lifecycle={"preStop": {"sleep": {"seconds": 1}}},
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}],
        envFrom=[{"configMapRef": {"name": "c"}}],
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    )
    spec = {"containers": [main], "volumes": [{"name": "v", "configMap": {"name": "c"}}]}
    assert texts(pod(**spec, tolerations=[{"operator": "Exists"}])) == []


def test_metadata_is_checked_too() -> None:
    obj = pod()
    obj["metadata"] |= {"name": "Not_a_name", "labels": {"a b": "c"}, "annotations": {"": ""}}
    fields = [text.partition(":")[0] for text in texts(obj)]
    assert fields[:2] == ["metadata.name", "metadata.labels"]
    assert "metadata.annotations" in fields


def change_image(new: Object) -> None:
    new["spec"]["containers"][0]["image"] = "web:2"


def change_command(new: Object) -> None:
    new["spec"]["containers"][0]["command"] = ["x"]


def change_node(new: Object) -> None:
    new["spec"]["nodeName"] = "n"


def add_container(new: Object) -> None:
    new["spec"]["containers"].append(container(name="second"))


def add_toleration(new: Object) -> None:
    new["spec"]["tolerations"] = [{"key": "a", "operator": "Exists"}]


def set_deadline(new: Object) -> None:
    new["spec"]["activeDeadlineSeconds"] = 5


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (change_image, ""),
        (add_toleration, ""),
        (set_deadline, ""),
        (change_command, "changed: spec.containers"),
        (change_node, "changed: spec.nodeName"),
        (add_container, "pod updates may not add or remove containers"),
    ],
)
def test_little_of_a_pod_may_change(change: Callable[[Object], None], expected: str) -> None:
    old = created(pod())
    new = copy.deepcopy(old)
    change(new)
    strategy.default(new)
    errors = [str(error) for error in strategy.validate_update(new, old)]
    if expected:
        assert len(errors) == 1
        assert errors[0].endswith(expected)
    else:
        assert errors == []


def test_a_toleration_once_there_stays() -> None:
    old = created(pod(tolerations=[{"key": "a", "operator": "Exists"}]))
    new = copy.deepcopy(old)
    new["spec"]["tolerations"] = []
    [error] = strategy.validate_update(new, old)
    assert error.field == "spec.tolerations"


def test_a_write_to_the_pod_leaves_its_status_and_the_other_way_round() -> None:
    old = created(pod())
    new = copy.deepcopy(old)
    change_image(new)
    new["status"]["phase"] = "Running"
    strategy.prepare_update(new, old, NOW)
    assert new["status"] == old["status"]
    assert new["metadata"]["generation"] == 2

    new = copy.deepcopy(old)
    change_image(new)
    new["status"] = {"phase": "Running"}
    new["metadata"]["labels"] = {"a": "b"}
    strategy.prepare_status(new, old)
    assert new["spec"] == old["spec"]
    assert new["metadata"] == old["metadata"]
    assert new["status"] == {"phase": "Running", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
            [
                'spec.containers[0].env[1]: hides previous definition of "A", '
                "which may be dropped when using apply"
            ],
        ),
        ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}, []),
        (
            {"ports": [{"containerPort": 80}, {"name": "x", "containerPort": 80}]},
            [
                "spec.containers[0].ports[1]: duplicate port definition with "
                "spec.containers[0].ports[0]"
            ],
        ),
    ],
)
def test_what_will_surprise_is_warned_of(fields: Object, expected: list[str]) -> None:
    assert strategy.warnings(pod(containers=[container(**fields)])) == expected


@pytest.mark.parametrize(
    ("node", "phase", "options", "seconds"),
    [
        ("n", "Running", {}, 30),
        ("n", "Running", {"gracePeriodSeconds": 5}, 5),
        ("n", "Running", {"gracePeriodSeconds": 0}, 0),
        ("n", "Running", {"gracePeriodSeconds": -1}, 1),
        ("", "Pending", {}, 0),
        ("n", "Succeeded", {}, 0),
        ("n", "Failed", {"gracePeriodSeconds": 5}, 0),
    ],
)
def test_only_what_runs_somewhere_gets_time_to_stop(
    node: str, phase: str, options: Object, seconds: int
) -> None:
    obj = created(pod(nodeName=node))
    obj["status"]["phase"] = phase
    assert strategy.graceful_deletion(obj, options) == seconds
