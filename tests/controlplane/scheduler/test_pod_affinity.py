from typing import Any

from podling.controlplane.scheduler import filters, pod_affinity, scores
from podling.controlplane.scheduler.node_info import NodeInfo
from podling.controlplane.scheduler.pod_info import PodInfo
from tests.controlplane.scheduler.objects import a_node, a_pod


def term(app: str, topology_key: str = "zone", **more: Any) -> dict[str, Any]:
    return {
        "labelSelector": {"matchLabels": {"app": app}},
        "topologyKey": topology_key,
        **more,
    }


def wanting(rule: str, *terms: Any, app: str = "web", **more: Any) -> PodInfo:
    """`rule` is podAffinity or podAntiAffinity."""
    required = {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}
    return a_pod(labels={"app": app}, affinity={rule: required}, **more)


def verdicts(pod: PodInfo, *nodes: NodeInfo) -> list[list[str]]:
    asked = filters.question(pod, nodes)
    return [filters.inter_pod_affinity(asked, node) for node in nodes]


def zones(*running: list[PodInfo]) -> list[NodeInfo]:
    """Two nodes in zone a, one in zone b, one in none."""
    pods = [*running, [], [], [], []]
    return [
        a_node("n1", pods[0], labels={"zone": "a"}),
        a_node("n2", pods[1], labels={"zone": "a"}),
        a_node("n3", pods[2], labels={"zone": "b"}),
        a_node("n4", pods[3]),
    ]


CACHE = a_pod("cache", labels={"app": "cache"})
NEAR, APART, UNWELCOME = [pod_affinity.NEAR], [pod_affinity.APART], [pod_affinity.UNWELCOME]


def test_a_pod_goes_where_those_it_needs_are_near() -> None:
    pod = wanting("podAffinity", term("cache"))
    assert verdicts(pod, *zones([CACHE])) == [[], [], NEAR, NEAR]
    assert verdicts(pod, *zones()) == [NEAR] * 4


def test_the_first_of_those_who_want_to_be_together_may_start() -> None:
    pod = wanting("podAffinity", term("web"))
    assert verdicts(pod, *zones()) == [[], [], [], NEAR]
    running = a_pod("first", labels={"app": "web"})
    assert verdicts(pod, *zones([], [], [running])) == [NEAR, NEAR, [], NEAR]


def test_a_pod_keeps_away_from_those_it_shuns() -> None:
    pod = wanting("podAntiAffinity", term("web"))
    running = a_pod("first", labels={"app": "web"})
    assert verdicts(pod, *zones([running])) == [APART, APART, [], []]
    by_node = wanting("podAntiAffinity", term("web", "kubernetes.io/hostname"))
    assert verdicts(by_node, *zones([running])) == [APART, [], [], []]


def test_those_who_are_there_keep_others_away() -> None:
    choosy = wanting("podAntiAffinity", term("cache"), name="choosy")
    nodes = zones([choosy])
    assert verdicts(CACHE, *nodes) == [UNWELCOME, UNWELCOME, [], []]
    nodes[0].remove(choosy.key)
    assert verdicts(CACHE, *nodes) == [[]] * 4


def test_other_namespaces_count_only_where_named() -> None:
    elsewhere = a_pod("x", labels={"app": "web"})
    named = wanting("podAntiAffinity", term("web", namespaces=["other"]))
    everywhere = wanting("podAntiAffinity", term("web", namespaceSelector={}))
    assert verdicts(named, *zones([elsewhere]))[0] == []
    assert verdicts(everywhere, *zones([elsewhere]))[0] == APART


def test_preferences_weigh_what_is_near() -> None:
    def wish(weight: int, app: str) -> dict[str, Any]:
        return {"weight": weight, "podAffinityTerm": term(app)}

    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    pod = a_pod(
        affinity={
            "podAffinity": {preferred: [wish(50, "cache")]},
            "podAntiAffinity": {preferred: [wish(100, "noisy")]},
        }
    )
    nodes = zones([CACHE], [], [a_pod("noisy", labels={"app": "noisy"})])
    asked = filters.question(pod, nodes)
    points = scores.neighbourhood(asked, nodes)
    assert points is not None
    assert points[0] == points[1] == 100
    assert points[2] == 0
    assert 60 < points[3] < 70
    assert scores.neighbourhood(filters.question(a_pod(), nodes), nodes) is None
