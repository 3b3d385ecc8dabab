"""What reaches the API server, whatever else is written there at the same time."""

from collections.abc import AsyncIterator
from random import Random

import pytest

from podling.kube import kinds
from podling.kube.meta import Object
from podling.node.kubelet.pods.status_manager import StatusManager, patch_of
from tests.node.kubelet.builders import pod as build_pod
from tests.node.kubelet.node_harness import Node, phase_is


@pytest.fixture
async def manager(idle_node: Node) -> AsyncIterator[StatusManager]:
    made = StatusManager(idle_node.client, Random(1))
    await made.start()
    yield made
    await made.stop()


def ready(status: str) -> Object:
    return {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]}


async def test_the_newest_status_is_written(idle_node: Node, manager: StatusManager) -> None:
    pod = await idle_node.create(build_pod())
    for status in ("False", "True", "False"):
        manager.publish(pod, ready(status))
    found = await idle_node.until_pod(phase_is("Running"), "the status")
    assert found["status"]["conditions"][0]["status"] == "False"


async def test_nothing_is_written_that_is_there_already(
    idle_node: Node, manager: StatusManager
) -> None:
    pod = await idle_node.create(build_pod())
    manager.publish(pod, ready("True"))
    found = await idle_node.until_pod(phase_is("Running"), "the status")
    manager.publish(found, ready("True"))
    await idle_node.until(lambda: manager._reconciler.idle, "the manager to be idle")
    assert await idle_node.pod() == found


async def test_a_stale_view_wipes_out_nobody_s_condition(
    idle_node: Node, manager: StatusManager
) -> None:
    stale = await idle_node.create(build_pod())
    other = {"status": {"conditions": [{"type": "lb", "status": "True"}]}}
    await idle_node.client.patch(kinds.POD, "web", other, "default", subresource="status")
    manager.publish(stale, ready("True"))
    found = await idle_node.until_pod(phase_is("Running"), "the status")
    assert {entry["type"] for entry in found["status"]["conditions"]} == {"lb", "Ready"}


async def test_a_status_outlives_an_api_server_that_is_away(
    idle_node: Node, manager: StatusManager
) -> None:
    pod = await idle_node.create(build_pod())
    idle_node.api.down = True
    manager.publish(pod, ready("True"))
    idle_node.api.down = False
    await idle_node.until_pod(phase_is("Running"), "the status")


async def test_the_last_status_is_followed_by_the_deletion(
    idle_node: Node, manager: StatusManager
) -> None:
    await idle_node.create(build_pod())
    deleting = await idle_node.client.delete(kinds.POD, "web", "default")
    manager.publish(deleting, {"phase": "Failed"}, finished=True)
    await idle_node.until_gone()


async def test_a_new_pod_of_the_same_name_is_not_touched(
    idle_node: Node, manager: StatusManager
) -> None:
    old = await idle_node.create(build_pod())
    await idle_node.client.delete(kinds.POD, "web", "default", grace_period_seconds=0)
    new = await idle_node.create(build_pod())
    manager.publish(old, {"phase": "Failed"}, finished=True)
    await idle_node.until(lambda: manager._reconciler.idle, "the manager to be idle")
    assert await idle_node.pod() == new


def test_a_patch_says_only_what_changes() -> None:
    old = {"status": {"phase": "Running", "reason": "Old", "qosClass": "Burstable"}}
    assert patch_of(old, {"phase": "Running"}) == {"reason": None}
    assert patch_of({"status": {"phase": "Running"}}, {"phase": "Running"}) == {}
    assert patch_of({}, {"phase": "Pending"}) == {"phase": "Pending"}
