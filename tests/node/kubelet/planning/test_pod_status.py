from typing import Any

import pytest

from podling.kube.meta import Object
from podling.node.kubelet.planning import pod_plan, pod_status
from podling.node.kubelet.planning.pod_view import Health, Hold, PodView, Waiting
from tests.node.kubelet.builders import NOW, container_spec, exited, pod, running, sandbox, view


def status_of(seen: PodView, previous: Object | None = None, now: float = NOW) -> Object:
    return pod_status.compute(
        seen,
        pod_plan.plan(seen, now),
        previous or {},
        host_ips=("127.9.64.1",),
        runtime_name="podling",
        now=now,
    )


def conditions(status: Object) -> dict[str, str]:
    return {entry["type"]: entry["status"] for entry in status["conditions"]}


def test_a_pod_being_made_is_pending() -> None:
    status = status_of(view(pod()))
    assert status["phase"] == "Pending"
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    assert status["containerStatuses"][0]["state"] == waiting
    assert conditions(status) == {
        "PodReadyToStartContainers": "False",
        "Initialized": "True",
        "Ready": "False",
        "ContainersReady": "False",
        "PodScheduled": "True",
    }
    assert "podIP" not in status
    ready = next(entry for entry in status["conditions"] if entry["type"] == "Ready")
    assert ready["reason"] == "ContainersNotReady"
    assert ready["message"] == "containers with unready status: [app]"


def test_a_running_pod_is_ready() -> None:
    status = status_of(view(pod(), sandbox(), running()))
    assert status["phase"] == "Running"
    assert set(conditions(status).values()) == {"True"}
    assert status["podIPs"] == [{"ip": "127.9.64.2"}]
    assert status["hostIPs"] == [{"ip": "127.9.64.1"}]
    entry = status["containerStatuses"][0]
    assert entry["containerID"] == "podling://app-0"
    assert entry["state"] == {"running": {"startedAt": "1970-01-12T13:45:40Z"}}
    assert entry["ready"]


PHASES: list[tuple[str, tuple[Any, ...], str]] = [
    ("Always", (running(),), "Running"),
    ("Always", (exited(code=1),), "Running"),
    ("Always", (exited(code=0),), "Running"),
    ("OnFailure", (exited(code=1),), "Running"),
    ("OnFailure", (exited(code=0),), "Succeeded"),
    ("Never", (exited(code=0),), "Succeeded"),
    ("Never", (exited(code=2),), "Failed"),
    ("Never", (), "Pending"),
]


@pytest.mark.parametrize(("policy", "containers", "phase"), PHASES)
def test_the_phase_follows_the_containers(
    policy: str, containers: tuple[Any, ...], phase: str
) -> None:
    status = status_of(view(pod(restartPolicy=policy), sandbox(), *containers))
    assert status["phase"] == phase


def test_one_of_two_containers_still_to_come_keeps_the_pod_pending() -> None:
    two = pod(container_spec("a"), container_spec("b"))
    assert status_of(view(two, sandbox(), running("a")))["phase"] == "Pending"


def test_a_completed_pod_says_so_in_its_conditions() -> None:
    status = status_of(view(pod(restartPolicy="Never"), sandbox(), exited()))
    reasons = {entry["type"]: entry.get("reason") for entry in status["conditions"]}
    assert reasons["Ready"] == "PodCompleted"
    assert reasons["Initialized"] == "PodCompleted"


def test_init_containers_hold_the_pod_back() -> None:
    init = pod(initContainers=[container_spec("setup")])
    status = status_of(view(init, sandbox(), running("setup")))
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    assert conditions(status)["Initialized"] == "False"
    done = status_of(view(init, sandbox(), exited("setup"), running()))
    assert conditions(done)["Initialized"] == "True"
    assert done["initContainerStatuses"][0]["ready"]
    init["spec"]["restartPolicy"] = "Never"
    assert status_of(view(init, sandbox(), exited("setup", code=1)))["phase"] == "Failed"


def test_a_crash_loop_shows_how_the_container_ended() -> None:
    seen = view(pod(), sandbox(), exited(code=1))
    seen.history.restarted("app", NOW - 10)
    entry = status_of(seen)["containerStatuses"][0]
    assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert entry["lastState"]["terminated"]["exitCode"] == 1
    assert entry["lastState"]["terminated"]["reason"] == "Error"


def test_a_restarted_container_keeps_its_previous_end() -> None:
    entry = status_of(view(pod(), sandbox(), exited(code=1), running(attempt=1)))[
        "containerStatuses"
    ][0]
    assert entry["restartCount"] == 1
    assert entry["lastState"]["terminated"]["exitCode"] == 1


def test_a_container_that_cannot_be_made_says_why() -> None:
    hold = Hold(NOW + 1, Waiting("CreateContainerConfigError", 'secret "x" not found'))
    status = status_of(view(pod(), sandbox(), holds={"app": hold}))
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}
    assert status["containerStatuses"][0]["state"]["waiting"] == waiting
    assert status["phase"] == "Pending"


def test_readiness_needs_probes_and_gates() -> None:
    unready = view(pod(), sandbox(), running(), health={"app-0": Health(ready=False)})
    assert conditions(status_of(unready))["Ready"] == "False"
    gated = pod(readinessGates=[{"conditionType": "lb"}])
    status = status_of(view(gated, sandbox(), running()))
    assert conditions(status)["ContainersReady"] == "True"
    assert conditions(status)["Ready"] == "False"
    gated["status"]["conditions"] = [{"type": "lb", "status": "True"}]
    assert conditions(status_of(view(gated, sandbox(), running())))["Ready"] == "True"


def test_times_are_those_of_the_last_change() -> None:
    first = status_of(view(pod(), sandbox()), now=NOW)
    again = status_of(view(pod(), sandbox()), previous=first, now=NOW + 50)
    assert again == first
    later = status_of(view(pod(), sandbox(), running()), previous=first, now=NOW + 60)
    stamps = {entry["type"]: entry["lastTransitionTime"] for entry in later["conditions"]}
    assert stamps["Ready"] == "1970-01-12T13:47:40Z"
    assert stamps["PodScheduled"] == "1970-01-12T13:46:40Z"
    assert later["startTime"] == first["startTime"]


def test_a_pod_past_its_deadline_has_failed() -> None:
    status = status_of(view(pod(), sandbox(), running(), deadline_passed=True))
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")


def test_a_stopped_pod_keeps_the_address_it_had() -> None:
    ended = view(pod(restartPolicy="Never"), sandbox(ready=False), exited())
    status = status_of(ended, previous={"podIPs": [{"ip": "127.9.64.2"}]})
    assert status["podIP"] == "127.9.64.2"


def test_a_killed_pod_that_is_deleted_ends_as_failed() -> None:
    deleted = pod()
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status = status_of(view(deleted, sandbox(ready=False), exited(code=143)))
    assert status["phase"] == "Failed"


def test_a_pod_on_the_host_s_network_has_the_host_s_address() -> None:
    status = status_of(view(pod(hostNetwork=True), sandbox(), running()))
    assert status["podIP"] == "127.9.64.1"
