from collections import Counter
from random import Random

import pytest

from podling.controlplane.scheduler import decide as deciding
from podling.controlplane.scheduler.decide import Placement, Unschedulable, decide
from podling.controlplane.scheduler.node_info import NodeInfo, node_facts
from podling.controlplane.scheduler.pod_info import PodInfo
from podling.controlplane.scheduler.snapshot import Cluster, Snapshot
from tests.controlplane.scheduler.objects import a_node, a_pod, node

DICE = Random(5)


def on(*nodes: NodeInfo) -> Snapshot:
    return Snapshot(nodes)


def test_the_only_node_that_may_gets_the_pod() -> None:
    nodes = on(a_node("n1", unschedulable=True), a_node("n2"), a_node("n3", cpu="1"))
    assert decide(a_pod(requests={"cpu": "2"}), nodes, DICE) == Placement("n2", 1)


def test_why_no_node_will_do_is_said_in_the_usual_words() -> None:
    nodes = on(
        a_node("n1", unschedulable=True),
        a_node("n2", cpu="1", memory="1Gi"),
        a_node("n3", cpu="1"),
        a_node("n4", taints=[{"key": "k", "value": "v", "effect": "NoExecute"}]),
    )
    assert decide(a_pod(requests={"cpu": "2", "memory": "2Gi"}), nodes, DICE) == Unschedulable(
        "0/4 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {k: v}, "
        "1 node(s) were unschedulable, 2 Insufficient cpu."
    )


def test_no_nodes_at_all_is_said_too() -> None:
    assert decide(a_pod(), on(), DICE) == Unschedulable("no nodes available to schedule pods")


def test_replicas_are_spread_evenly() -> None:
    cluster = Cluster()
    for name in ("n1", "n2", "n3"):
        cluster.set_node(node_facts(node(name)))
    for number in range(9):
        place(cluster, a_pod(f"p{number}", owner="web"))
    assert [len(info.pods) for info in cluster.snapshot().nodes] == [3, 3, 3]


def test_lonely_pods_are_spread_by_the_room_they_take() -> None:
    cluster = Cluster()
    for name in ("n1", "n2", "n3"):
        cluster.set_node(node_facts(node(name)))
    for number in range(6):
        place(cluster, a_pod(f"p{number}"))
    assert [len(info.pods) for info in cluster.snapshot().nodes] == [2, 2, 2]


def place(cluster: Cluster, pod: PodInfo) -> None:
    verdict = decide(pod, cluster.snapshot(), DICE)
    assert isinstance(verdict, Placement)
    cluster.assume(pod, verdict.node_name)


def test_equal_nodes_are_chosen_by_the_dice() -> None:
    nodes = on(a_node("n1"), a_node("n2"))
    dice = Random(1)
    chosen: Counter[str] = Counter()
    for _ in range(200):
        verdict = decide(a_pod(), nodes, dice)
        assert isinstance(verdict, Placement)
        chosen[verdict.node_name] += 1
    assert min(chosen["n1"], chosen["n2"]) > 60
    assert decide(a_pod(), nodes, Random(9)) == decide(a_pod(), nodes, Random(9))


def test_in_a_large_cluster_not_every_node_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "ENOUGH", 5)
    nodes = on(*(a_node(f"n{number}") for number in range(50)))
    dice = Random(2)
    verdicts = [decide(a_pod(), nodes, dice) for _ in range(50)]
    assert {verdict.feasible for verdict in verdicts if isinstance(verdict, Placement)} == {5}
    assert len(set(verdicts)) > 20


def test_in_a_large_cluster_the_one_node_that_will_do_is_found() -> None:
    small = [a_node(f"n{number}", cpu="1") for number in range(300)]
    nodes = on(*small, a_node("big", cpu="64"))
    assert decide(a_pod(requests={"cpu": "32"}), nodes, DICE) == Placement("big", 1)
