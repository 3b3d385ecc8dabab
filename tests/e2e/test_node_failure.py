"""Nodes and kubelets that die."""

import json
import os
import signal

import pytest

from podling.testing.cluster import TestCluster
from tests.e2e.waiting import Load, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.podling(fresh=True, replicas=1, nodes=3)]


def frontends(cluster: TestCluster) -> dict[str, str]:
    """Name of each ready frontend pod, and its node."""
    listed = json.loads(cluster.kubectl("get", "pods", "-l", "tier=frontend", "-o", "json"))
    return {
        pod["metadata"]["name"]: pod["spec"]["nodeName"]
        for pod in listed["items"]
        for condition in pod["status"].get("conditions", ())
        if (condition["type"], condition["status"]) == ("Ready", "True")
        and "deletionTimestamp" not in pod["metadata"]
    }


def test_the_pods_of_a_killed_node_are_replaced_while_the_service_answers(
    podling_cluster: TestCluster, guestbook: str
) -> None:
    storage = podling_cluster.kubectl(
        "get", "pod", "-l", "tier=storage", "-o", "jsonpath={.items[0].spec.nodeName}"
    )
    victim = next(node for node in sorted(frontends(podling_cluster).values()) if node != storage)
    load = Load(guestbook)
    with load.running():
        load.reaches(25)
        podling_cluster.chaos.kill(victim)
        eventually(
            lambda: len(pods := frontends(podling_cluster)) == 3 and victim not in pods.values(),
            90,
            lambda: f"three frontends away from {victim}, now {frontends(podling_cluster)}",
        )
        load.reaches(50)
    # Connections that the dead node's own proxy had accepted died with it, and no others.
    assert len(load.failures) <= 8, load.failures


def test_a_killed_kubelet_comes_back_to_the_pods_that_went_on(
    podling_cluster: TestCluster, guestbook: str
) -> None:
    pod, node = next(iter(frontends(podling_cluster).items()))
    started = "jsonpath={.status.containerStatuses[0].state.running.startedAt}"
    restarts = "jsonpath={.status.containerStatuses[0].restartCount}"
    before = podling_cluster.kubectl("get", "pod", pod, "-o", started)
    kubelet = podling_cluster.launcher.pid(node)
    assert kubelet is not None
    os.kill(kubelet, signal.SIGKILL)
    eventually(lambda: podling_cluster.launcher.pid(node) is None, 60, lambda: "the kubelet's end")
    podling_cluster.launcher.start(node)
    podling_cluster.kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=60s")
    assert podling_cluster.kubectl("get", "pod", pod, "-o", started) == before
    assert podling_cluster.kubectl("get", "pod", pod, "-o", restarts) == "0"
    podling_cluster.chaos.kill(f"pod/{pod}")
    eventually(
        lambda: podling_cluster.kubectl("get", "pod", pod, "-o", restarts) == "1",
        60,
        lambda: f"the restart of {pod} to be seen",
    )


def test_a_container_that_ends_while_its_kubelet_is_dead_is_seen_later(
    podling_cluster: TestCluster, guestbook: str
) -> None:
    pod, node = next(iter(frontends(podling_cluster).items()))
    restarts = "jsonpath={.status.containerStatuses[0].restartCount}"
    kubelet = podling_cluster.launcher.pid(node)
    assert kubelet is not None
    os.kill(kubelet, signal.SIGKILL)
    eventually(lambda: podling_cluster.launcher.pid(node) is None, 60, lambda: "the kubelet's end")
    podling_cluster.chaos.kill(f"pod/{pod}")
    podling_cluster.launcher.start(node)
    eventually(
        lambda: podling_cluster.kubectl("get", "pod", pod, "-o", restarts) == "1",
        60,
        lambda: f"the restart of {pod} to be seen",
    )
