from podling.controlplane.controllers.namespace import deletion_order, plan_conditions
from podling.kube import conditions, kinds
from podling.kube.meta import Object

NAMESPACE: Object = {"metadata": {"name": "web"}, "status": {"phase": "Terminating"}}


def test_pods_go_first_and_what_has_no_namespace_stays() -> None:
    order = deletion_order(kinds.BUILT_IN)
    assert order[0] is kinds.POD
    assert order[-1] is kinds.EVENT
    assert kinds.NODE not in order
    assert len(order) == len([kind for kind in kinds.BUILT_IN if kind.namespaced])


def test_a_namespace_says_what_it_waits_for() -> None:
    held = {"metadata": {"name": "a", "finalizers": ["example.com/x"]}}
    listed = plan_conditions(NAMESPACE, {kinds.POD: [held, held], kinds.SECRET: []}, now=0.0)
    content = conditions.find(listed, "NamespaceContentRemaining")
    finalizers = conditions.find(listed, "NamespaceFinalizersRemaining")
    assert content is not None
    assert finalizers is not None
    assert content["message"].endswith("remaining: pods has 2 resource instances")
    assert finalizers["message"].endswith("remaining: example.com/x in 2 resource instances")


def test_a_namespace_that_is_empty_says_so() -> None:
    listed = plan_conditions(NAMESPACE, {kinds.POD: []}, now=0.0)
    assert [condition["status"] for condition in listed] == ["False", "False"]
