from podling.controlplane.scheduler import filters, scores
from podling.controlplane.scheduler.node_info import NodeInfo
from podling.controlplane.scheduler.pod_info import PodInfo
from podling.controlplane.scheduler.scores import Score
from tests.controlplane.scheduler.objects import a_node, a_pod, expression, node_affinity


def points(score: Score, pod: PodInfo, *nodes: NodeInfo) -> list[float] | None:
    return score(filters.question(pod, nodes), nodes)


def test_the_fewer_of_its_kind_the_better() -> None:
    mine = [a_pod(str(number), owner="x") for number in range(3)]
    nodes = (a_node("n1", mine[:2]), a_node("n2", mine[2:]), a_node("n3", [a_pod("other")]))
    assert points(scores.spreading, a_pod(owner="x"), *nodes) == [0, 50, 100]
    assert points(scores.spreading, a_pod(), *nodes) is None
    assert points(scores.spreading, a_pod(owner="y"), *nodes) is None


def test_the_more_room_the_better() -> None:
    busy = a_node("n1", [a_pod("a", requests={"cpu": "2", "memory": "4Gi"})])
    found = points(
        scores.least_allocated, a_pod(requests={"cpu": "1", "memory": "2Gi"}), busy, a_node("n2")
    )
    assert found == [25, 75]


def test_a_node_that_says_nothing_about_itself_has_no_room_to_show() -> None:
    assert points(scores.least_allocated, a_pod(), a_node(cpu="0", memory="0")) == [0]


def test_fulfilled_wishes_are_weighed() -> None:
    wishes = [
        {"weight": 30, "preference": {"matchExpressions": [expression("disk", "In", "ssd")]}},
        {"weight": 60, "preference": {"matchExpressions": [expression("zone", "Exists")]}},
    ]
    pod = a_pod(affinity=node_affinity("preferred", wishes))
    nodes = (
        a_node("n1"),
        a_node("n2", labels={"disk": "ssd"}),
        a_node("n3", labels={"zone": "a"}),
    )
    assert points(scores.preferred_affinity, pod, *nodes) == [0, 50, 100]
    assert points(scores.preferred_affinity, pod, nodes[0]) is None
    assert points(scores.preferred_affinity, a_pod(), *nodes) is None


def test_soft_taints_are_avoided_unless_tolerated() -> None:
    soft = {"key": "k", "value": "v", "effect": "PreferNoSchedule"}
    nodes = (a_node("n1", taints=[soft]), a_node("n2"))
    assert points(scores.tolerated_taints, a_pod(), *nodes) == [0, 100]
    tolerant = a_pod(tolerations=[{"key": "k", "operator": "Exists"}])
    assert points(scores.tolerated_taints, tolerant, *nodes) is None


def test_zones_with_fewer_matching_pods_are_preferred_where_that_is_wished() -> None:
    constraint = {
        "topologyKey": "zone",
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": "x"}},
    }
    pod = a_pod(labels={"app": "x"}, topologySpreadConstraints=[constraint])
    running = [a_pod("a", labels={"app": "x"})]
    nodes = (
        a_node("n1", running, labels={"zone": "a"}),
        a_node("n2", labels={"zone": "a"}),
        a_node("n3", labels={"zone": "b"}),
        a_node("n4"),
    )
    assert points(scores.topology_spreading, pod, *nodes) == [0, 0, 100, 0]
