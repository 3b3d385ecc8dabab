"""Pods: READY, STATUS and RESTARTS are read from the container statuses, not from the phase."""

from dataclasses import dataclass
from typing import Any

from podling.controlplane.apiserver.tables import ages
from podling.controlplane.apiserver.tables.columns import AGE, NAME, Printer, text, wide
from podling.kube import conditions, meta, timestamps
from podling.kube.meta import Object

NONE = "<none>"

_FINISHED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


@dataclass(slots=True)
class _Summary:
    """What the statuses of a pod come down to; built up status by status."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: float = 0.0
    """Seconds since the Unix epoch; 0 if nothing was restarted."""

    def count_restarts(self, status: Object) -> None:
        self.restarts += status.get("restartCount", 0)
        finished = (status.get("lastState") or {}).get("terminated", {}).get("finishedAt")
        if finished:
            self.last_restart = max(self.last_restart, timestamps.parse_time(finished))


def summarize(pod: Object) -> _Summary:
    """READY, STATUS and RESTARTS of a pod."""
    status = pod.get("status") or {}
    summary = _Summary(reason=status.get("reason") or status.get("phase", ""))
    if (conditions.of(pod, "PodScheduled") or {}).get("reason") == "SchedulingGated":
        summary.reason = "SchedulingGated"
    sidecars = _Summary(reason="")
    initializing = _summarize_init_containers(pod, summary, sidecars)
    if not initializing or conditions.is_true(status.get("conditions"), "Initialized"):
        summary.restarts, summary.last_restart = sidecars.restarts, sidecars.last_restart
        _summarize_containers(status, summary)
    if meta.is_deleting(pod):
        if status.get("reason") == "NodeLost":
            summary.reason = "Unknown"
        elif status.get("phase") not in _FINISHED:
            summary.reason = "Terminating"
    return summary


def _summarize_init_containers(pod: Object, summary: _Summary, sidecars: _Summary) -> bool:
    """Whether the pod is still initializing; then the reason says how far it got."""
    spec_of = {container["name"]: container for container in _init_containers(pod)}
    for index, status in enumerate((pod.get("status") or {}).get("initContainerStatuses") or ()):
        summary.count_restarts(status)
        sidecar = _is_sidecar(spec_of.get(status["name"], {}))
        if sidecar:
            sidecars.count_restarts(status)
        state = status.get("state") or {}
        terminated = state.get("terminated")
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if sidecar and status.get("started"):
            summary.ready += bool(status.get("ready"))
            continue
        waiting = (state.get("waiting") or {}).get("reason", "")
        if terminated is not None:
            summary.reason = "Init:" + _termination(terminated)
        elif waiting and waiting != "PodInitializing":
            summary.reason = "Init:" + waiting
        else:
            summary.reason = f"Init:{index}/{len(spec_of)}"
        return True
    return False


def _summarize_containers(status: Object, summary: _Summary) -> None:
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        summary.count_restarts(container)
        state = container.get("state") or {}
        if waiting := (state.get("waiting") or {}).get("reason"):
            summary.reason = waiting
        elif (terminated := state.get("terminated")) is not None:
            summary.reason = _termination(terminated)
        elif container.get("ready") and state.get("running") is not None:
            running = True
            summary.ready += 1
    if summary.reason == "Completed" and running:
        ready = conditions.is_true(status.get("conditions"), "Ready")
        summary.reason = "Running" if ready else "NotReady"


def _termination(terminated: Object) -> str:
    if reason := terminated.get("reason"):
        return str(reason)
    if signal := terminated.get("signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _init_containers(pod: Object) -> list[Object]:
    return list((pod.get("spec") or {}).get("initContainers") or ())


def _is_sidecar(container: Object) -> bool:
    return container.get("restartPolicy") == "Always"


def _cells(pod: Object, now: float) -> list[Any]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    summary = summarize(pod)
    sidecars = sum(map(_is_sidecar, _init_containers(pod)))
    restarts = str(summary.restarts)
    if summary.restarts and summary.last_restart:
        restarts += f" ({ages.human_duration(now - summary.last_restart)} ago)"
    addresses = status.get("podIPs") or [{"ip": status.get("podIP", "")}]
    return [
        meta.name(pod),
        f"{summary.ready}/{len(spec.get('containers') or ()) + sidecars}",
        summary.reason,
        restarts,
        ages.age(pod, now),
        addresses[0].get("ip") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _readiness_gates(spec, status),
    ]


def _readiness_gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return NONE
    true = sum(
        conditions.is_true(status.get("conditions"), gate["conditionType"]) for gate in gates
    )
    return f"{true}/{len(gates)}"


def _row_conditions(pod: Object) -> list[Object]:
    phase = (pod.get("status") or {}).get("phase", "")
    message = _FINISHED.get(phase)
    if message is None:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}]


PODS = Printer(
    columns=(
        NAME,
        text("Ready", "Containers that are ready, of all that should be."),
        text("Status", "What the pod is doing, or why it is not running."),
        text("Restarts", "How often its containers were restarted, and when last."),
        AGE,
        wide("IP", "The pod's address."),
        wide("Node", "The node that the pod is bound to."),
        wide("Nominated Node", "The node where room is being made for the pod."),
        wide("Readiness Gates", "Readiness gates that are true, of all that the pod names."),
    ),
    cells=_cells,
    conditions=_row_conditions,
)
