"""The cluster's books: whatever the order of news, sums equal what is on each node."""

from dataclasses import replace
from random import Random

from podling.controlplane.scheduler.node_info import NodeInfo, node_facts
from podling.controlplane.scheduler.snapshot import Cluster
from podling.kube import quantity
from tests.controlplane.scheduler.objects import a_pod, node


def cluster(*names: str) -> Cluster:
    made = Cluster()
    for name in names:
        made.set_node(node_facts(node(name)))
    return made


def where(books: Cluster) -> dict[str, set[str]]:
    return {info.facts.name: set(info.pods) for info in books.snapshot().nodes}


def check(books: Cluster) -> None:
    """Every sum is what its pods add up to."""
    for info in books.snapshot().nodes:
        again = NodeInfo(info.facts)
        for pod in info.pods.values():
            again.add(pod)
        assert +info.requested == again.requested
        assert (info.assumed_cpu, info.assumed_memory) == (again.assumed_cpu, again.assumed_memory)
        assert sorted(info.host_ports) == sorted(again.host_ports)
        assert info.groups == again.groups


def test_an_assumed_pod_counts_at_once_and_is_settled_by_the_news() -> None:
    books = cluster("n1", "n2")
    pod = a_pod("a", requests={"cpu": "1"})
    books.assume(pod, "n1")
    assert where(books) == {"n1": {"default/a"}, "n2": set()}
    assert books.is_assumed(pod)
    assert not books.is_assumed(replace(pod, uid="another"))
    books.set_pod(replace(pod, node_name="n1"))
    assert not books.is_assumed(pod)
    assert not books.forget(pod.key)
    assert books.snapshot().nodes[0].requested["cpu"] == quantity.NANO


def test_a_refused_pod_makes_room_again() -> None:
    books = cluster("n1")
    books.assume(a_pod("a"), "n1")
    assert books.forget("default/a")
    assert where(books) == {"n1": set()}


def test_pods_of_an_unknown_node_are_counted_when_it_appears() -> None:
    books = cluster("n1")
    books.set_pod(a_pod("a", node_name="n2"))
    books.set_pod(a_pod("b", node_name="n2"))
    assert books.remove_pod("default/b")
    books.set_node(node_facts(node("n2")))
    assert where(books) == {"n1": set(), "n2": {"default/a"}}


def test_a_node_that_comes_back_has_its_pods() -> None:
    books = cluster("n1")
    books.set_pod(a_pod("a", node_name="n1"))
    books.remove_node("n1")
    assert where(books) == {}
    books.set_node(node_facts(node("n1")))
    assert where(books) == {"n1": {"default/a"}}


def test_only_what_matters_for_scheduling_is_news_about_a_node() -> None:
    books = cluster("n1")
    assert not books.set_node(node_facts(node("n1")))
    assert books.set_node(node_facts(node("n1", cpu="8")))
    assert books.set_node(node_facts(node("n1", cpu="8", unschedulable=True)))


def test_removing_what_is_not_there_makes_no_room() -> None:
    assert not cluster("n1").remove_pod("default/none")


def test_the_books_are_right_after_any_story() -> None:
    dice = Random(3)
    books = cluster("n1", "n2")
    names = ["n1", "n2", "n3"]
    for _ in range(2000):
        pod = a_pod(
            f"p{dice.randrange(8)}",
            requests={"cpu": str(dice.randrange(3)), "memory": "1Gi"},
            labels={"app": dice.choice("xy")},
            host_port=dice.choice([0, 80, 81]),
        )
        match dice.randrange(6):
            case 0:
                books.assume(pod, dice.choice(names))
            case 1:
                books.set_pod(replace(pod, node_name=dice.choice(names)))
            case 2:
                books.remove_pod(pod.key)
            case 3:
                books.forget(pod.key)
            case 4:
                books.set_node(node_facts(node(dice.choice(names))))
            case 5:
                books.remove_node(dice.choice(names))
        check(books)
