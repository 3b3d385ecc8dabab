"""The `containerStatuses` of a pod, from what the runtime holds and what was planned. Pure.

A container that waits to be restarted shows how it ended as `lastState`, one that ended for good
as `state`. A container that the runtime lost (its machine was switched off) is said to have ended
with 137 and the reason ContainerStatusUnknown, since nobody saw its end.
"""

from typing import Any

from podling.kube.meta import Object
from podling.kube.timestamps import format_time
from podling.node.kubelet.planning import pod_spec
from podling.node.kubelet.planning.pod_plan import LOST_EXIT_CODE, PodPlan
from podling.node.kubelet.planning.pod_view import PodView, Waiting
from podling.node.kubelet.planning.runtime_status import Container


def statuses(view: PodView, plan: PodPlan, runtime_name: str) -> tuple[list[Object], list[Object]]:
    """The statuses of (main containers, init containers), in the order of the spec.

    `runtime_name` begins every container id: `podling://4f6e…`.
    """
    maker = _Maker(view, plan, runtime_name)
    main = [maker.status(spec, init=False) for spec in pod_spec.containers(view.pod)]
    init = [maker.status(spec, init=True) for spec in pod_spec.init_containers(view.pod)]
    return main, init


class _Maker:
    """What all statuses of one pod are made from."""

    def __init__(self, view: PodView, plan: PodPlan, runtime_name: str) -> None:
        self._view = view
        self._plan = plan
        self._runtime_name = runtime_name

    def status(self, spec: Object, *, init: bool) -> Object:
        name = spec["name"]
        current = self._view.runtime.newest(name)
        recorded = self._view.recorded(name)
        if current is None:
            return self._without_container(spec, recorded, init=init)
        health = self._view.health_of(current)
        state, last = self._states(current, recorded, init=init)
        completed = init and not pod_spec.is_sidecar(spec)
        return {
            "name": name,
            "image": spec.get("image") or current.image,
            "imageID": current.image_ref,
            "containerID": self._id(current),
            "restartCount": current.attempt,
            "state": state,
            "lastState": last,
            "started": current.running and health.started,
            "ready": current.ended and current.exit_code == 0
            if completed
            else current.running and health.ready,
        }

    def _states(
        self, current: Container, recorded: Object | None, *, init: bool
    ) -> tuple[Object, Object]:
        waiting = self._plan.waiting.get(current.name)
        if current.running:
            return {"running": {"startedAt": format_time(current.started_at)}}, self._last(
                current, recorded
            )
        if current.ended and waiting is None:
            return self._terminated(current), self._last(current, recorded)
        if current.ended:
            return _waiting(waiting or self._default(init=init)), self._terminated(current)
        return _waiting(waiting or Waiting("ContainerCreating")), self._last(current, recorded)

    def _last(self, current: Container, recorded: Object | None) -> Object:
        previous = self._view.runtime.previous(current.name)
        if previous is not None:
            return self._terminated(previous)
        if recorded is None or current.attempt == 0:
            return {}
        if int(recorded.get("restartCount", 0)) >= current.attempt:
            last: Object = recorded.get("lastState") or {}
            return last
        return _end_of(recorded)

    def _without_container(self, spec: Object, recorded: Object | None, *, init: bool) -> Object:
        name = spec["name"]
        waiting = self._plan.waiting.get(name) or self._plan.waiting.get("")
        last: Object = {}
        state = _waiting(waiting or self._default(init=init))
        if recorded is not None:
            over = self._plan.finished or self._view.stop_reason is not None
            state, last = (_end_of(recorded), {}) if over else (state, _end_of(recorded))
        return {
            "name": name,
            "image": spec.get("image", ""),
            "imageID": recorded.get("imageID", "") if recorded else "",
            **({"containerID": recorded["containerID"]} if recorded else {}),
            "restartCount": int(recorded.get("restartCount", 0)) if recorded else 0,
            "state": state,
            "lastState": last,
            "started": False,
            "ready": False,
        }

    def _default(self, *, init: bool) -> Waiting:
        if init or pod_spec.init_containers(self._view.pod):
            return Waiting("PodInitializing")
        return Waiting("ContainerCreating")

    def _terminated(self, container: Container) -> Object:
        ended: dict[str, Any] = {
            "exitCode": container.exit_code,
            "reason": container.reason or ("Error" if container.exit_code else "Completed"),
            "containerID": self._id(container),
        }
        if container.message:
            ended["message"] = container.message
        if container.started_at:
            ended["startedAt"] = format_time(container.started_at)
        if container.finished_at:
            ended["finishedAt"] = format_time(container.finished_at)
        return {"terminated": ended}

    def _id(self, container: Container) -> str:
        return f"{self._runtime_name}://{container.id}"


def _waiting(waiting: Waiting) -> Object:
    state = {"reason": waiting.reason}
    if waiting.message:
        state["message"] = waiting.message
    return {"waiting": state}


def _end_of(recorded: Object) -> Object:
    """How a container ended of which only the API knows."""
    terminated = recorded.get("state", {}).get("terminated")
    if terminated:
        return {"terminated": terminated}
    return {
        "terminated": {
            "exitCode": LOST_EXIT_CODE,
            "reason": "ContainerStatusUnknown",
            "message": "The container could not be located: the node lost it with its runtime",
            "containerID": recorded["containerID"],
        }
    }
