from typing import Any

from podling.controlplane.scheduler.pod_conditions import plan_patch
from podling.kube.meta import Object
from tests.controlplane.scheduler.objects import pod


def waiting(**condition: Any) -> Object:
    found = pod()
    if condition:
        found["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", **condition}]
    return found


def condition(patch: Object | None) -> Object:
    assert patch is not None
    assert patch["metadata"] == {"uid": "uid-p"}
    (found,) = patch["status"]["conditions"]
    assert isinstance(found, dict)
    return found


def test_the_verdict_is_written_with_its_time() -> None:
    assert condition(plan_patch(waiting(), "Unschedulable", "no room", 10.0)) == {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "no room",
        "lastTransitionTime": "1970-01-01T00:00:10Z",
    }


def test_another_message_is_no_transition() -> None:
    found = waiting(reason="Unschedulable", message="old", lastTransitionTime="T")
    assert condition(plan_patch(found, "Unschedulable", "new", 10.0))["lastTransitionTime"] == "T"


def test_what_is_written_already_is_not_written_again() -> None:
    found = waiting(reason="Unschedulable", message="same")
    assert plan_patch(found, "Unschedulable", "same", 10.0) is None
