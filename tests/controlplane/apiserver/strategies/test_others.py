import base64
import copy

import pytest

from podling.controlplane.apiserver.strategies import STRATEGIES
from podling.controlplane.apiserver.strategies.binding import bind, validate_binding
from podling.controlplane.apiserver.strategies.cluster import NamespaceStrategy
from podling.controlplane.apiserver.strategies.strategy import Strategy, WriteContext
from podling.kube import errors, kinds
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from tests.controlplane.apiserver.strategies.objects import plain, pod

NOW = WriteContext(now=0.0)


def texts(kind: Kind, obj: Object) -> list[str]:
    STRATEGIES[kind].default(obj)
    return [str(error) for error in STRATEGIES[kind].validate(obj)]


def namespace() -> Object:
    return {"kind": "Namespace", "metadata": {"name": "web"}}


def test_every_built_in_kind_has_a_strategy() -> None:
    assert set(STRATEGIES) == set(kinds.BUILT_IN)
    strategy: Strategy
    for kind, strategy in STRATEGIES.items():
        assert strategy.kind is kind


def test_a_namespace_is_active_labelled_and_held_by_its_finalizer() -> None:
    strategy, obj = STRATEGIES[kinds.NAMESPACE], namespace()
    strategy.default(obj)
    strategy.prepare_create(obj, NOW)
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "web"}
    assert obj["spec"] == {"finalizers": ["kubernetes"]}
    assert obj["status"] == {"phase": "Active"}


def test_only_finalize_changes_the_finalizers_of_a_namespace() -> None:
    strategy, old = NamespaceStrategy(kinds.NAMESPACE), namespace()
    strategy.prepare_create(old, NOW)
    new = copy.deepcopy(old)
    new["spec"]["finalizers"] = []
    written = copy.deepcopy(new)
    strategy.prepare_update(written, old, NOW)
    assert written["spec"] == old["spec"]
    new["status"] = {"phase": "Terminating"}
    strategy.prepare_finalize(new, old)
    assert new["spec"] == {"finalizers": []}
    assert new["status"] == old["status"]


def test_the_phase_of_a_namespace_agrees_with_its_deletion() -> None:
    strategy, obj = STRATEGIES[kinds.NAMESPACE], namespace()
    obj["status"] = {"phase": "Terminating"}
    [error] = strategy.validate_status(obj, obj)
    assert error.field == "status.phase"
    obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert strategy.validate_status(obj, obj) == []


def test_a_node_registers_with_its_status() -> None:
    strategy = STRATEGIES[kinds.NODE]
    obj: Object = {"kind": "Node", "metadata": {"name": "n"}, "status": {"capacity": {"cpu": "2"}}}
    strategy.default(obj)
    strategy.prepare_create(obj, NOW)
    assert obj["status"]["allocatable"] == {"cpu": "2"}
    new = copy.deepcopy(obj)
    new["status"] = {}
    strategy.prepare_update(new, obj, NOW)
    assert new["status"] == obj["status"]


def test_the_addresses_of_a_nodes_pods_never_change() -> None:
    strategy = STRATEGIES[kinds.NODE]
    old: Object = {"metadata": {"name": "n"}, "spec": {"podCIDRs": ["10.0.0.0/24"]}}
    new: Object = {"metadata": {"name": "n"}, "spec": {"podCIDRs": ["10.0.1.0/24"]}}
    [error] = strategy.validate_update(new, old)
    assert error.field == "spec.podCIDRs"


def test_a_secret_may_be_written_as_text() -> None:
    obj = plain("Secret", stringData={"a": "text"}, data={"b": "eA=="})
    assert texts(kinds.SECRET, obj) == []
    assert obj["type"] == "Opaque"
    assert obj["data"] == {"b": "eA==", "a": base64.b64encode(b"text").decode()}
    assert "stringData" not in obj


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"data": {"a": "not base64!"}}, "data[a]"),
        ({"data": {"a b": "eA=="}}, "data[a b]"),
        ({"type": "kubernetes.io/tls", "data": {"tls.crt": "eA=="}}, "data[tls.key]"),
        ({"data": {"a": "e" * 4 * 2**20}}, "data"),
    ],
)
def test_mistakes_in_a_secret_are_named_without_its_data(fields: Object, expected: str) -> None:
    [text] = texts(kinds.SECRET, plain("Secret", **fields))
    assert text.startswith(expected + ":")
    assert "not base64!" not in text


@pytest.mark.parametrize("kind", [kinds.SECRET, kinds.CONFIG_MAP])
def test_what_is_immutable_stays(kind: Kind) -> None:
    old = plain(kind.kind, data={"a": "eA=="}, immutable=True)
    new = copy.deepcopy(old)
    new["data"] = {"a": "eB=="}
    STRATEGIES[kind].default(old)
    STRATEGIES[kind].default(new)
    [error] = STRATEGIES[kind].validate_update(new, old)
    assert str(error) == "data: Forbidden: field is immutable when `immutable` is set"


def test_a_key_of_a_config_map_is_text_or_binary() -> None:
    obj = plain("ConfigMap", data={"a": "x"}, binaryData={"a": "eA=="})
    [text] = texts(kinds.CONFIG_MAP, obj)
    assert text.startswith("data[a]: Invalid value")


@pytest.mark.parametrize(
    ("involved", "wrong"),
    [({"namespace": "default"}, False), ({}, False), ({"namespace": "other"}, True)],
)
def test_an_event_lies_beside_what_it_is_about(involved: Object, wrong: bool) -> None:
    assert bool(texts(kinds.EVENT, plain("Event", involvedObject=involved))) == wrong


def test_a_lease_lasts() -> None:
    [text] = texts(kinds.LEASE, plain("Lease", spec={"leaseDurationSeconds": 0}))
    assert text == "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"
    assert not STRATEGIES[kinds.LEASE].allow_unconditional_update


BINDING: Object = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}


def test_a_binding_puts_a_pod_on_a_node() -> None:
    old = pod()
    assert validate_binding(BINDING) == []
    bound = bind(old, BINDING, now=0.0)
    assert bound["spec"]["nodeName"] == "n"
    assert "nodeName" not in old["spec"]
    [condition] = bound["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "True")


def test_a_pod_is_bound_once() -> None:
    with pytest.raises(errors.Conflict, match='already assigned to node "m"'):
        bind(pod(nodeName="m"), BINDING, now=0.0)


def test_a_binding_may_be_for_one_pod_only() -> None:
    binding = {**BINDING, "metadata": {"name": "p", "uid": "other"}}
    with pytest.raises(errors.Conflict, match="Precondition failed: UID"):
        bind(pod(), binding, now=0.0)


def test_a_binding_needs_a_node() -> None:
    [error] = validate_binding({"target": {"kind": "Node"}})
    assert error.field == "target.name"
