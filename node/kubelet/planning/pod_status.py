"""A pod's status as the kubelet sees it. Pure.

Phase, from the states of the containers (Kubernetes documentation, "Pod Lifecycle"):

    Pending    an init container has not succeeded yet, or a main container has never run
    Running    all main containers ran; at least one runs, or will be started again
    Succeeded  all main containers ended with 0 and none is started again
    Failed     all main containers ended, one of them otherwise, or the pod was stopped

Only what the kubelet owns is in the result: `qosClass` and other parties' conditions are not.
"""

from collections.abc import Sequence

from podling.kube import meta
from podling.kube.meta import Object
from podling.kube.timestamps import format_time
from podling.node.kubelet.planning import container_states, pod_spec, restart_policy
from podling.node.kubelet.planning.pod_plan import PodPlan
from podling.node.kubelet.planning.pod_view import PodView, StopReason
from podling.node.kubelet.planning.runtime_status import PodRuntime

DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


def compute(
    view: PodView,
    plan: PodPlan,
    previous: Object,
    *,
    host_ips: Sequence[str],
    runtime_name: str,
    now: float,
) -> Object:
    """The status to report; `previous` is the last one reported (or the API's), for its times."""
    main, init = container_states.statuses(view, plan, runtime_name)
    phase = _phase(view, plan, main, init)
    status: Object = {
        "phase": phase,
        "startTime": previous.get("startTime") or format_time(now),
        "containerStatuses": main,
        "conditions": _conditions(view, phase, main, init, previous, now),
    }
    if init:
        status["initContainerStatuses"] = init
    if view.stop_reason is StopReason.DEADLINE:
        status |= {"reason": "DeadlineExceeded", "message": DEADLINE_MESSAGE}
    elif phase == "Failed":
        status |= {key: previous[key] for key in ("reason", "message") if previous.get(key)}
    _addresses(status, "hostIP", "hostIPs", host_ips)
    _addresses(status, "podIP", "podIPs", pod_ips(view, host_ips) or _kept_ips(view, previous))
    return status


def pod_ips(view: PodView, host_ips: Sequence[str]) -> tuple[str, ...]:
    """The pod's addresses while it has a sandbox."""
    return sandbox_ips(view.pod, view.runtime, host_ips)


def sandbox_ips(pod: Object, runtime: PodRuntime, host_ips: Sequence[str]) -> tuple[str, ...]:
    sandbox = runtime.ready_sandbox
    if sandbox is None:
        return ()
    return tuple(host_ips) if pod_spec.uses_host_network(pod) else sandbox.ips


def _kept_ips(view: PodView, previous: Object) -> tuple[str, ...]:
    """A pod that ended keeps showing the address it had."""
    if view.stop_reason is None and view.runtime.sandbox is None:
        return ()
    return tuple(entry["ip"] for entry in previous.get("podIPs") or [])


def _addresses(status: Object, single: str, plural: str, addresses: Sequence[str]) -> None:
    if addresses:
        status[single] = addresses[0]
        status[plural] = [{"ip": address} for address in addresses]


def _phase(view: PodView, plan: PodPlan, main: list[Object], init: list[Object]) -> str:
    if view.stop_reason is StopReason.TERMINAL:
        return str(view.pod["status"]["phase"])
    if view.stop_reason is StopReason.DEADLINE:
        return "Failed"
    if plan.finished:
        return "Succeeded" if all(_exit_code(status) == 0 for status in main) else "Failed"
    if _init_phase(view, init) is not None and not _ran(main):
        return str(_init_phase(view, init))
    if not _all_ran(main):
        return "Pending"
    if any("running" in status["state"] for status in main):
        return "Running"
    policy = pod_spec.policy(view.pod)
    codes = [_exit_code(status) for status in main]
    if any(code is None or restart_policy.should_restart(policy, code) for code in codes):
        return "Running"
    return "Failed" if any(codes) else "Succeeded"


def _init_phase(view: PodView, init: list[Object]) -> str | None:
    """The phase that unfinished init containers impose; None when all are done."""
    specs = pod_spec.init_containers(view.pod)
    for spec, status in zip(specs, init, strict=True):
        if _init_done(spec, status):
            continue
        failed = "terminated" in status["state"]
        never = pod_spec.policy(view.pod) == restart_policy.NEVER
        return "Failed" if failed and never and not pod_spec.is_sidecar(spec) else "Pending"
    return None


def _init_done(spec: Object, status: Object) -> bool:
    if pod_spec.is_sidecar(spec):
        return bool(status["started"])
    return _exit_code(status) == 0


def _exit_code(status: Object) -> int | None:
    terminated = status["state"].get("terminated")
    return None if terminated is None else int(terminated["exitCode"])


def _ran(main: list[Object]) -> bool:
    return any("waiting" not in status["state"] or status["lastState"] for status in main)


def _all_ran(main: list[Object]) -> bool:
    return all("waiting" not in status["state"] or status["lastState"] for status in main)


def _conditions(
    view: PodView,
    phase: str,
    main: list[Object],
    init: list[Object],
    previous: Object,
    now: float,
) -> list[Object]:
    initialized = _initialized(view, phase, main, init)
    containers = _containers_ready(phase, main, init, view)
    wanted = [
        ("PodReadyToStartContainers", (view.runtime.ready_sandbox is not None, "", "")),
        ("Initialized", initialized),
        ("Ready", _ready(view, containers)),
        ("ContainersReady", containers),
        ("PodScheduled", (True, "", "")),
    ]
    before = {entry["type"]: entry for entry in previous.get("conditions") or []}
    conditions = []
    for kind, (holds, reason, message) in wanted:
        entry: Object = {"type": kind, "status": "True" if holds else "False"}
        old = before.get(kind)
        same = old is not None and old.get("status") == entry["status"]
        entry["lastTransitionTime"] = (
            old["lastTransitionTime"]
            if old is not None and same and old.get("lastTransitionTime")
            else format_time(now)
        )
        entry |= {"reason": reason} if reason else {}
        entry |= {"message": message} if message else {}
        conditions.append(entry)
    return conditions


Verdict = tuple[bool, str, str]
"""Whether a condition holds; reason and message if it does not."""


def _initialized(view: PodView, phase: str, main: list[Object], init: list[Object]) -> Verdict:
    if phase == "Succeeded":
        return True, "PodCompleted", ""
    specs = pod_spec.init_containers(view.pod)
    missing = [
        status["name"]
        for spec, status in zip(specs, init, strict=True)
        if not _init_done(spec, status)
    ]
    if not missing or _ran(main):
        return True, "", ""
    names = " ".join(missing)
    return False, "ContainersNotInitialized", f"containers with incomplete status: [{names}]"


def _containers_ready(phase: str, main: list[Object], init: list[Object], view: PodView) -> Verdict:
    if phase == "Succeeded":
        return False, "PodCompleted", ""
    if phase == "Failed":
        return False, "PodFailed", ""
    specs = pod_spec.init_containers(view.pod)
    sidecars = [
        status for spec, status in zip(specs, init, strict=True) if pod_spec.is_sidecar(spec)
    ]
    unready = [status["name"] for status in (*sidecars, *main) if not status["ready"]]
    if not unready:
        return True, "", ""
    names = " ".join(unready)
    return False, "ContainersNotReady", f"containers with unready status: [{names}]"


def _ready(view: PodView, containers: Verdict) -> Verdict:
    if not containers[0]:
        return containers
    have = {
        entry["type"]: entry.get("status")
        for entry in view.pod.get("status", {}).get("conditions") or []
    }
    for gate in view.pod["spec"].get("readinessGates") or []:
        kind = gate["conditionType"]
        if kind not in have:
            text = f'corresponding condition of pod readiness gate "{kind}" does not exist.'
            return False, "ReadinessGatesNotReady", text
        if have[kind] != "True":
            text = f'the status of pod readiness gate "{kind}" is not "True", but {have[kind]}'
            return False, "ReadinessGatesNotReady", text
    return True, "", ""


def describe(pod: Object) -> str:
    """A pod in log lines and messages: `name_namespace(uid)`."""
    return f"{meta.name(pod)}_{meta.namespace(pod)}({meta.uid(pod)})"
