from podling.controlplane.controllers.garbage import GarbagePlan, Owner, plan_dependent
from podling.controlplane.controllers.owner_graph import FOREGROUND, Node, OwnerGraph
from podling.kube import kinds
from podling.kube.meta import Object


def owned(uid: str, *owners: str, blocks: bool = False, **metadata: object) -> Object:
    references = [{"uid": owner, "blockOwnerDeletion": blocks} for owner in owners]
    return {"metadata": {"uid": uid, "ownerReferences": references, **metadata}}


def test_dependents_are_looked_at_when_their_owner_goes() -> None:
    graph = OwnerGraph()
    graph.observe(kinds.REPLICA_SET, "r", owned("1"))
    assert graph.observe(kinds.POD, "p", owned("2", "1")) == {"2"}
    assert graph.observe(kinds.REPLICA_SET, "r", None) == {"2"}


def test_an_owner_that_was_made_anew_is_another_one() -> None:
    graph = OwnerGraph()
    graph.observe(kinds.REPLICA_SET, "r", owned("1"))
    graph.observe(kinds.POD, "p", owned("2", "1"))
    assert graph.observe(kinds.REPLICA_SET, "r", owned("9")) == {"2"}
    assert graph.get("1") is None
    assert list(graph.dependents("9")) == []


def test_an_owner_in_foreground_deletion_hears_of_each_dependent_that_goes() -> None:
    graph = OwnerGraph()
    going = owned("1", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=[FOREGROUND])
    graph.observe(kinds.POD, "p", owned("2", "1", blocks=True))
    assert graph.observe(kinds.REPLICA_SET, "r", going) == {"1", "2"}
    assert graph.observe(kinds.POD, "p", None) == {"1"}


def test_who_loses_an_owner_is_no_longer_its_dependent() -> None:
    graph = OwnerGraph()
    graph.observe(kinds.POD, "p", owned("2", "1"))
    assert [node.uid for node in graph.dependents("1")] == ["2"]
    graph.observe(kinds.POD, "p", owned("2"))
    assert list(graph.dependents("1")) == []
    graph.observe(kinds.POD, "p", None)
    assert len(graph) == 0


def test_what_owns_and_is_owned_by_nobody_is_left_alone() -> None:
    assert OwnerGraph().observe(kinds.POD, "p", owned("1")) == set()


def node(*finalizers: str, deleting: bool = False) -> Node:
    return Node(kinds.POD, "p", "2", ("1",), frozenset(), deleting, frozenset(finalizers))


def test_an_object_goes_when_no_owner_is_left() -> None:
    cases = [
        (node(), {"1": Owner.SOLID}, False, GarbagePlan()),
        (node(), {"1": Owner.ABSENT}, False, GarbagePlan(delete="Background")),
        (node(), {"1": Owner.WAITING}, False, GarbagePlan(delete="Background")),
        (node(), {"1": Owner.WAITING}, True, GarbagePlan(delete="Foreground")),
        (node("orphan"), {"1": Owner.ABSENT}, False, GarbagePlan(delete="Orphan")),
        (node(FOREGROUND), {"1": Owner.ABSENT}, False, GarbagePlan(delete="Foreground")),
        (node(deleting=True), {"1": Owner.ABSENT}, False, GarbagePlan()),
        (node(), {}, False, GarbagePlan()),
        (
            node(),
            {"1": Owner.ABSENT, "3": Owner.SOLID},
            False,
            GarbagePlan(drop=frozenset({"1"})),
        ),
    ]
    for dependent, owners, has_dependents, expected in cases:
        assert plan_dependent(dependent, owners, has_dependents=has_dependents) == expected
