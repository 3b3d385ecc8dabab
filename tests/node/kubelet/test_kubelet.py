"""The whole kubelet: what it does to the runtime and says to the API in the life of a pod."""

from pathlib import Path

import grpc

from podling.kube import kinds
from tests.node.kubelet.builders import container_spec, pod
from tests.node.kubelet.node_harness import (
    NODE,
    Node,
    condition,
    phase_is,
    restarts_of,
    state_of,
)


async def test_a_bound_pod_runs_and_is_reported(ready_node: Node) -> None:
    await ready_node.create(pod())
    running = await ready_node.until_running()
    status = running["status"]
    assert ready_node.runtime.running("web") == ["app"]
    assert status["podIP"] == "127.9.64.2"
    assert status["podIPs"] == [{"ip": "127.9.64.2"}]
    assert status["hostIP"] == "127.0.0.1"
    assert status["startTime"]
    entry = status["containerStatuses"][0]
    assert entry["ready"]
    assert entry["started"]
    assert entry["restartCount"] == 0
    assert entry["containerID"].startswith("memory://")
    for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled"):
        assert condition(running, kind) == "True", kind
    for reason in ("Pulled", "Created", "Started"):
        await ready_node.until_event(reason)


async def test_a_container_that_ends_is_restarted_and_its_end_kept(ready_node: Node) -> None:
    await ready_node.create(pod())
    await ready_node.until_running()
    ready_node.runtime.exit("web", "app", code=3)
    restarted = await ready_node.until_pod(
        lambda p: (
            p["status"]["containerStatuses"][0]["restartCount"] == 1 and "running" in state_of(p)
        ),
        "the restart",
    )
    last = restarted["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 3
    assert last["reason"] == "Error"


async def test_a_crash_loop_backs_off(ready_node: Node) -> None:
    await ready_node.create(pod())
    for _ in range(3):
        await ready_node.until(lambda: ready_node.runtime.running("web"), "the container to run")
        ready_node.runtime.exit("web", "app", code=1)
    waiting = await ready_node.until_pod(
        lambda p: state_of(p).get("waiting", {}).get("reason") == "CrashLoopBackOff",
        "CrashLoopBackOff",
    )
    assert waiting["status"]["phase"] == "Running"
    assert condition(waiting, "Ready") == "False"
    await ready_node.until_event("BackOff")
    await ready_node.until(lambda: ready_node.runtime.running("web"), "the next restart")


async def test_a_pod_that_never_restarts_succeeds_or_fails(ready_node: Node) -> None:
    for name, code, phase in (("good", 0, "Succeeded"), ("bad", 1, "Failed")):
        await ready_node.create(pod(name=name, restartPolicy="Never"))
        await ready_node.until_running(name)
        ready_node.runtime.exit(name, "app", code=code)
        await ready_node.until_pod(phase_is(phase), f"{name} to be {phase}", name)


async def test_a_deleted_pod_is_stopped_gracefully_and_disappears(ready_node: Node) -> None:
    await ready_node.create(pod())
    await ready_node.until_running()
    await ready_node.client.delete(kinds.POD, "web", "default")
    await ready_node.until_gone()
    await ready_node.until(lambda: not ready_node.runtime.sandboxes, "the sandbox to be removed")
    assert ready_node.runtime.calls["StopContainer"] == 1
    await ready_node.until_event("Killing")


async def test_readiness_is_kept_while_a_pod_takes_its_time_to_end(ready_node: Node) -> None:
    ready_node.runtime.stubborn.add("app")
    await ready_node.create(pod(terminationGracePeriodSeconds=1))
    await ready_node.until_running()
    await ready_node.client.delete(kinds.POD, "web", "default")
    await ready_node.until(lambda: ready_node.runtime.calls["StopContainer"], "SIGTERM")
    dying = await ready_node.pod()
    assert dying is not None
    assert dying["status"]["phase"] == "Running"
    await ready_node.until_gone()


async def test_a_forced_deletion_does_not_wait_for_a_long_grace_period(ready_node: Node) -> None:
    ready_node.runtime.stubborn.add("app")
    await ready_node.create(pod(terminationGracePeriodSeconds=3600))
    await ready_node.until_running()
    await ready_node.client.delete(kinds.POD, "web", "default")
    await ready_node.until(lambda: ready_node.runtime.calls["StopContainer"], "SIGTERM")
    await ready_node.client.delete(kinds.POD, "web", "default", grace_period_seconds=1)
    await ready_node.until_gone()


async def test_init_containers_run_first(ready_node: Node) -> None:
    await ready_node.create(pod(initContainers=[container_spec("setup")]))
    await ready_node.until(lambda: ready_node.runtime.running("web") == ["setup"], "the init")
    waiting = await ready_node.until_pod(
        lambda p: p.get("status", {}).get("initContainerStatuses"), "the init status"
    )
    assert waiting["status"]["phase"] == "Pending"
    assert condition(waiting, "Initialized") == "False"
    ready_node.runtime.exit("web", "setup")
    running = await ready_node.until_running()
    assert condition(running, "Initialized") == "True"


async def test_a_lost_sandbox_is_replaced(ready_node: Node) -> None:
    await ready_node.create(pod())
    await ready_node.until_running()
    ready_node.runtime.lose_sandbox("web")
    await ready_node.until_pod(
        lambda p: p["status"].get("podIP") == "127.9.64.3" and "running" in state_of(p),
        "a new address",
    )
    await ready_node.until_event("SandboxChanged")


async def test_a_missing_config_map_is_named_and_waited_for(ready_node: Node) -> None:
    spec = container_spec(envFrom=[{"configMapRef": {"name": "settings"}}])
    await ready_node.create(pod(spec))
    waiting = await ready_node.until_pod(
        lambda p: (
            bool(p.get("status", {}).get("containerStatuses"))
            and state_of(p).get("waiting", {}).get("reason") == "CreateContainerConfigError"
        ),
        "CreateContainerConfigError",
    )
    assert state_of(waiting)["waiting"]["message"] == 'configmap "settings" not found'
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "default"},
        "data": {"COLOUR": "blue"},
    }
    await ready_node.client.create(kinds.CONFIG_MAP, config_map)
    await ready_node.until_running()
    made = ready_node.runtime.container("web", "app").config
    assert ("COLOUR", "blue") in {(env.key, env.value) for env in made.envs}
    assert ("POD_IP", "127.9.64.2") in {(env.key, env.value) for env in made.envs}


async def test_an_image_that_cannot_be_pulled_is_reported(ready_node: Node) -> None:
    ready_node.runtime.absent_images.add("app:1")
    await ready_node.create(pod())
    waiting = await ready_node.until_pod(
        lambda p: "ErrImagePull" in str(p.get("status", {})), "ErrImagePull"
    )
    assert waiting["status"]["phase"] == "Pending"
    ready_node.runtime.absent_images.clear()
    await ready_node.until_running()


async def test_a_container_that_cannot_be_created_is_tried_again(ready_node: Node) -> None:
    ready_node.runtime.refuse("CreateContainer", grpc.StatusCode.INTERNAL, "no command")
    await ready_node.create(pod())
    waiting = await ready_node.until_pod(
        lambda p: "CreateContainerError" in str(p.get("status", {})), "CreateContainerError"
    )
    assert state_of(waiting)["waiting"]["message"] == "no command"
    ready_node.runtime.allow("CreateContainer")
    await ready_node.until_running()


async def test_a_failing_readiness_probe_keeps_the_pod_unready(ready_node: Node) -> None:
    healthy = False
    ready_node.runtime.execute = lambda name, command: (0 if healthy else 1, "not yet")
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 0.02, "failureThreshold": 1}
    await ready_node.create(pod(container_spec(readinessProbe=probe)))
    running = await ready_node.until_running()
    assert condition(running, "Ready") == "False"
    await ready_node.until_event("Unhealthy")
    healthy = True
    await ready_node.until_pod(lambda p: condition(p, "Ready") == "True", "readiness")


async def test_a_failing_liveness_probe_restarts_the_container(ready_node: Node) -> None:
    ready_node.runtime.execute = lambda name, command: (1, "stuck")
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 0.02, "failureThreshold": 2}
    await ready_node.create(pod(container_spec(livenessProbe=probe)))
    await ready_node.until_pod(lambda p: restarts_of(p) >= 1, "the restart")
    await ready_node.until_event("Killing")


async def test_a_restarted_kubelet_adopts_its_pods_and_sees_their_later_exits(
    ready_node: Node,
) -> None:
    await ready_node.create(pod())
    before = await ready_node.until_running()
    await ready_node.stop_kubelet()
    calls = dict(ready_node.runtime.calls)
    await ready_node.ready()
    assert ready_node.runtime.running("web") == ["app"]
    assert ready_node.runtime.calls["StartContainer"] == calls["StartContainer"]
    after = await ready_node.pod()
    assert after is not None
    assert after["status"] == before["status"]
    ready_node.runtime.exit("web", "app", code=4)
    await ready_node.until_pod(lambda p: "'exitCode': 4" in str(p["status"]), "the exit")


async def test_an_exit_while_the_kubelet_was_away_is_seen_when_it_is_back(
    ready_node: Node,
) -> None:
    await ready_node.create(pod(restartPolicy="Never"))
    await ready_node.until_running()
    await ready_node.stop_kubelet()
    ready_node.runtime.exit("web", "app", code=5)
    await ready_node.ready()
    failed = await ready_node.until_pod(phase_is("Failed"), "the pod to have failed")
    assert state_of(failed)["terminated"]["exitCode"] == 5


async def test_a_pod_deleted_while_the_kubelet_was_away_is_ended(ready_node: Node) -> None:
    await ready_node.create(pod())
    await ready_node.until_running()
    await ready_node.stop_kubelet()
    await ready_node.client.delete(kinds.POD, "web", "default", grace_period_seconds=0)
    await ready_node.ready()
    await ready_node.until(lambda: not ready_node.runtime.sandboxes, "the sandbox to be removed")


async def test_a_runtime_that_was_away_is_listed_again(ready_node: Node) -> None:
    await ready_node.create(pod(restartPolicy="Never"))
    await ready_node.until_running()
    await ready_node.runtime.stop()
    ready_node.runtime.exit("web", "app", code=0)
    await ready_node.runtime.start(str(ready_node.directory / "cri.sock"))
    await ready_node.until_pod(phase_is("Succeeded"), "the end to be seen")


async def test_a_pod_whose_runtime_lost_everything_starts_again(ready_node: Node) -> None:
    await ready_node.create(pod())
    await ready_node.until_running()
    await ready_node.stop_kubelet()
    ready_node.runtime.sandboxes.clear()
    await ready_node.ready()
    again = await ready_node.until_pod(
        lambda p: (
            p["status"]["containerStatuses"][0]["restartCount"] == 1 and "running" in state_of(p)
        ),
        "the pod to run again",
    )
    last = again["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (137, "ContainerStatusUnknown")


async def test_many_pods_at_once_all_run(ready_node: Node) -> None:
    for number in range(40):
        await ready_node.create(pod(name=f"p{number}"))
    for number in range(40):
        await ready_node.until_running(f"p{number}")


async def test_a_volume_whose_object_is_missing_is_waited_for(ready_node: Node) -> None:
    spec = container_spec(volumeMounts=[{"name": "v", "mountPath": "/v"}])
    volume = {"name": "v", "secret": {"secretName": "login"}}
    await ready_node.create(pod(spec, volumes=[volume]))
    await ready_node.until_event("FailedMount")
    waiting = await ready_node.until_pod(
        lambda p: "login" in str(p.get("status", {})), "the missing secret to be named"
    )
    assert state_of(waiting)["waiting"]["reason"] == "ContainerCreating"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "default"},
        "data": {"password": "aHVudGVyMg=="},
    }
    await ready_node.client.create(kinds.SECRET, secret)
    await ready_node.until_running()
    mount = ready_node.runtime.container("web", "app").config.mounts[0]
    assert (Path(mount.host_path) / "password").read_text() == "hunter2"
    await ready_node.client.delete(kinds.POD, "web", "default")
    await ready_node.until(lambda: not Path(mount.host_path).exists(), "the volume to be removed")


async def test_a_pod_past_its_deadline_is_failed_and_stopped(ready_node: Node) -> None:
    await ready_node.create(pod(activeDeadlineSeconds=1))
    failed = await ready_node.until_pod(phase_is("Failed"), "the deadline")
    assert failed["status"]["reason"] == "DeadlineExceeded"
    await ready_node.until(lambda: not ready_node.runtime.running("web"), "its end")


async def test_a_sidecar_starts_first_and_ends_last(ready_node: Node) -> None:
    sidecar = container_spec("mesh", restartPolicy="Always")
    await ready_node.create(pod(initContainers=[sidecar], restartPolicy="Never"))
    running = await ready_node.until_running()
    assert ready_node.runtime.running("web") == ["app", "mesh"]
    assert running["status"]["initContainerStatuses"][0]["started"]
    ready_node.runtime.exit("web", "app", 0)
    await ready_node.until_pod(phase_is("Succeeded"), "the pod to succeed")
    await ready_node.until(lambda: not ready_node.runtime.running("web"), "the sidecar to end")


async def test_a_node_whose_runtime_fails_is_not_ready_until_it_works_again(
    idle_node: Node,
) -> None:
    node = idle_node
    node.changes = {"runtime_check_interval": 0.01}
    await node.ready()

    async def ready_is(status: str) -> str:
        found = (await node.client.get(kinds.NODE, NODE))["status"]["conditions"]
        (entry,) = (entry for entry in found if entry["type"] == "Ready")
        return str(entry["message"]) if entry["status"] == status else ""

    await node.until(lambda: ready_is("True"), "the node to be Ready")
    node.runtime.trouble = "its engine is out"
    said = await node.until(lambda: ready_is("False"), "the node to say that its runtime fails")
    assert "its engine is out" in said
    node.runtime.trouble = ""
    await node.until(lambda: ready_is("True"), "the node to be Ready again")


async def test_a_node_that_cannot_mount_says_how_names_are_found(ready_node: Node) -> None:
    await ready_node.stop_kubelet()
    ready_node.runtime.capabilities = '{"mount_namespace": "none"}'
    await ready_node.ready()
    await ready_node.create(pod())
    await ready_node.until_event("ResolverNotMounted")


async def test_a_changed_image_restarts_the_container_with_it(ready_node: Node) -> None:
    await ready_node.create(pod())
    await ready_node.until_running()
    patch = {"spec": {"containers": [container_spec(image="app:2")]}}
    await ready_node.client.patch(kinds.POD, "web", patch, "default")
    await ready_node.until_pod(
        lambda p: (
            p["status"]["containerStatuses"][0]["restartCount"] == 1 and "running" in state_of(p)
        ),
        "the replacement",
    )
    assert ready_node.runtime.container("web", "app").config.image.image == "app:2"
