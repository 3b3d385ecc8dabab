"""What the plan says in every situation of a pod's life; each case a base pod, changed a little."""

from dataclasses import replace

from podling.node.kubelet.planning.container_hash import spec_hash
from podling.node.kubelet.planning.pod_plan import Kill, PodPlan, Start, plan
from podling.node.kubelet.planning.pod_view import Health, Hold, Waiting
from podling.node.kubelet.planning.restart_policy import DelayRange, RestartHistory
from tests.node.kubelet.builders import (
    NOW,
    container_spec,
    created,
    exited,
    pod,
    running,
    sandbox,
    view,
)


def crashed_once() -> RestartHistory:
    history = RestartHistory(DelayRange(initial=10.0, cap=300.0))
    history.restarted("app", NOW - 30)
    return history


def deleting(grace: int = 7) -> dict[str, object]:
    being_deleted = pod()
    being_deleted["metadata"] |= {
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": grace,
    }
    return being_deleted


def test_a_new_pod_gets_a_sandbox_first() -> None:
    assert plan(view(pod()), NOW) == PodPlan(create_sandbox=0)


def test_a_sandbox_that_failed_is_tried_again_after_its_hold() -> None:
    held = view(pod(), holds={"": Hold(NOW + 3, Waiting("ContainerCreating", "no address"))})
    result = plan(held, NOW)
    assert result.create_sandbox is None
    assert result.wake_after == 3
    assert plan(held, NOW + 3).create_sandbox == 0


def test_with_a_sandbox_all_containers_start_in_order() -> None:
    both = pod(container_spec("app"), container_spec("log"))
    assert plan(view(both, sandbox()), NOW) == PodPlan(start=[Start("app", 0), Start("log", 0)])


def test_a_running_pod_needs_nothing() -> None:
    assert plan(view(pod(), sandbox(), running()), NOW) == PodPlan()


def test_a_container_created_but_never_started_is_replaced_under_its_number() -> None:
    assert plan(view(pod(), sandbox(), created()), NOW).start == [Start("app", 0, replaces="app-0")]


def test_the_first_end_is_followed_by_a_restart_at_once() -> None:
    result = plan(view(pod(), sandbox(), exited(code=1)), NOW)
    assert result.start == [Start("app", 1, restart=True)]


def test_a_crash_loop_waits_out_its_delay() -> None:
    looping = view(pod(), sandbox(), exited(code=1, attempt=1), history=crashed_once())
    result = plan(looping, NOW)
    assert result.start == []
    assert result.wake_after == 5
    assert result.waiting["app"].reason == "CrashLoopBackOff"
    assert "back-off 10s restarting failed container=app pod=web_default(" in (
        result.waiting["app"].message
    )
    assert plan(looping, NOW + 5).start == [Start("app", 2, restart=True)]


def test_a_pod_that_never_restarts_is_over_when_all_ended() -> None:
    never = pod(container_spec("a"), container_spec("b"), restartPolicy="Never")
    halfway = plan(view(never, sandbox(), exited("a", code=1), running("b")), NOW)
    assert halfway == PodPlan()
    ended = plan(view(never, sandbox(), exited("a", code=1), exited("b")), NOW)
    assert ended == PodPlan(stop_sandboxes=["sandbox-0"])
    stopped = plan(view(never, sandbox(ready=False), exited("a", code=1), exited("b")), NOW)
    assert stopped == PodPlan(finished=True)


def test_on_failure_restarts_only_what_failed() -> None:
    job = pod(container_spec("a"), container_spec("b"), restartPolicy="OnFailure")
    result = plan(view(job, sandbox(), exited("a", code=0), exited("b", code=1)), NOW)
    assert result.start == [Start("b", 1, restart=True)]


def test_init_containers_run_one_after_the_other_before_the_main_ones() -> None:
    init = pod(initContainers=[container_spec("one"), container_spec("two")])
    assert plan(view(init, sandbox()), NOW).start == [Start("one", 0)]
    assert plan(view(init, sandbox(), running("one")), NOW).start == []
    assert plan(view(init, sandbox(), exited("one")), NOW).start == [Start("two", 0)]
    assert plan(view(init, sandbox(), exited("one"), exited("two")), NOW).start == [Start("app", 0)]


def test_a_failed_init_container_is_tried_again_unless_the_pod_never_restarts() -> None:
    init = pod(initContainers=[container_spec("one")])
    result = plan(view(init, sandbox(), exited("one", code=1)), NOW)
    assert result.start == [Start("one", 1, restart=True)]
    init["spec"]["restartPolicy"] = "Never"
    result = plan(view(init, sandbox(), exited("one", code=1)), NOW)
    assert result == PodPlan(stop_sandboxes=["sandbox-0"])


def test_a_sidecar_lets_the_others_begin_once_it_has_started() -> None:
    with_sidecar = pod(initContainers=[container_spec("mesh", restartPolicy="Always")])
    assert plan(view(with_sidecar, sandbox()), NOW).start == [Start("mesh", 0)]
    slow = view(with_sidecar, sandbox(), running("mesh"), health={"mesh-0": Health(started=False)})
    assert plan(slow, NOW).start == []
    assert plan(view(with_sidecar, sandbox(), running("mesh")), NOW).start == [Start("app", 0)]


def test_a_sidecar_that_ended_restarts_beside_running_containers() -> None:
    with_sidecar = pod(initContainers=[container_spec("mesh", restartPolicy="Always")])
    result = plan(view(with_sidecar, sandbox(), exited("mesh"), running()), NOW)
    assert result.start == [Start("mesh", 1, restart=True)]


def test_sidecars_are_stopped_after_the_main_containers() -> None:
    with_sidecar = pod(initContainers=[container_spec("mesh", restartPolicy="Always")])
    with_sidecar["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    first = plan(view(with_sidecar, sandbox(), running("mesh"), running()), NOW)
    assert [kill.name for kill in first.kill] == ["app"]
    then = plan(view(with_sidecar, sandbox(), running("mesh"), exited()), NOW)
    assert [kill.name for kill in then.kill] == ["mesh"]


def test_a_condemned_container_is_killed_once_and_restarted_when_it_has_ended() -> None:
    sick = view(pod(), sandbox(), running(), health={"app-0": Health(failed="liveness")})
    message = "Container app failed liveness probe, will be restarted"
    assert plan(sick, NOW).kill == [Kill("app-0", "app", 30, message)]
    assert plan(replace(sick, killing=frozenset({"app-0"})), NOW) == PodPlan()


def test_a_probe_may_have_a_grace_period_of_its_own() -> None:
    spec = container_spec(livenessProbe={"terminationGracePeriodSeconds": 3})
    sick = view(pod(spec), sandbox(), running(), health={"app-0": Health(failed="liveness")})
    assert plan(sick, NOW).kill[0].grace == 3


def test_a_changed_image_replaces_the_container() -> None:
    of_now = spec_hash(container_spec())
    assert plan(view(pod(), sandbox(), running(spec_hash=of_now)), NOW) == PodPlan()
    result = plan(view(pod(), sandbox(), running(spec_hash="00000000")), NOW)
    assert "definition changed" in result.kill[0].message


def test_a_deleted_pod_is_killed_with_the_grace_of_the_deletion() -> None:
    result = plan(view(deleting(7), sandbox(), running()), NOW)
    assert result == PodPlan(kill=[Kill("app-0", "app", 7, "Stopping container app")])


def test_a_deleted_pod_starts_nothing_and_is_finished_when_its_sandbox_is_stopped() -> None:
    assert plan(view(deleting(), sandbox(), exited(code=1)), NOW) == PodPlan(
        stop_sandboxes=["sandbox-0"]
    )
    assert plan(view(deleting(), sandbox(ready=False), exited(code=1)), NOW).finished
    assert plan(view(deleting()), NOW) == PodPlan(finished=True)


def test_a_pod_that_the_api_no_longer_knows_is_stopped() -> None:
    assert plan(view(pod(), sandbox(), running(), gone=True), NOW).kill[0].name == "app"


def test_nothing_is_stopped_before_the_kills_are_done() -> None:
    dying = view(deleting(), sandbox(), running(), killing=frozenset({"app-0"}))
    assert plan(dying, NOW) == PodPlan()


def test_a_pod_past_its_deadline_is_stopped() -> None:
    assert plan(view(pod(), sandbox(), running(), deadline_passed=True), NOW).kill


def test_a_pod_that_the_api_calls_failed_never_runs_again() -> None:
    failed = pod(status={"phase": "Failed"})
    assert plan(view(failed), NOW) == PodPlan(finished=True)


def test_a_lost_sandbox_is_replaced_and_what_runs_in_it_killed_first() -> None:
    lost = sandbox(ready=False)
    assert plan(view(pod(), lost, running()), NOW).kill
    result = plan(view(pod(), lost, exited()), NOW)
    assert (result.create_sandbox, result.sandbox_changed) == (1, True)


def test_init_containers_run_again_in_a_new_sandbox() -> None:
    init = pod(initContainers=[container_spec("one")])
    old = (sandbox(0, ready=False), exited("one"), exited("app", code=137))
    result = plan(view(init, *old, sandbox(1)), NOW)
    assert result.start == [Start("one", 1, restart=True)]
    again = exited("one", attempt=1, sandbox_id="sandbox-1")
    result = plan(view(init, *old, sandbox(1), again), NOW)
    assert result.start == [Start("app", 1, restart=True)]


def test_a_container_that_the_runtime_lost_is_started_under_the_next_number() -> None:
    recorded = {"name": "app", "containerID": "podling://old", "restartCount": 2}
    lost = pod(status={"phase": "Running", "containerStatuses": [recorded]})
    assert plan(view(lost), NOW).create_sandbox == 0
    assert plan(view(lost, sandbox()), NOW).start == [Start("app", 3, restart=True)]


def test_a_pod_that_never_restarts_is_over_when_the_runtime_lost_it() -> None:
    recorded = {"name": "app", "containerID": "podling://old", "restartCount": 0}
    lost = pod(restartPolicy="Never", status={"containerStatuses": [recorded]})
    assert plan(view(lost), NOW) == PodPlan(finished=True)


def test_a_container_that_could_not_be_created_is_held_back() -> None:
    waiting = Waiting("CreateContainerConfigError", 'configmap "x" not found')
    held = view(pod(), sandbox(), holds={"app": Hold(NOW + 2, waiting)})
    result = plan(held, NOW)
    assert result == PodPlan(waiting={"app": waiting}, wake_after=2)


def test_containers_older_than_the_previous_one_are_removed() -> None:
    parts = (exited(attempt=0), exited(attempt=1), exited(attempt=2), running(attempt=3))
    assert plan(view(pod(), sandbox(), *parts), NOW).remove == ["app-1", "app-0"]
