"""What to do next for one pod. Pure: look at everything known, return the actions.

The order of a pod's life, each step taken when the one before is seen to be done:

1. A pod that must stop: its containers are killed (main containers first, sidecars after them),
   then its sandbox is stopped. Nothing else happens to it.
2. No ready sandbox: kill what runs in the old one, then make a new one.
3. Init containers, one at a time, in order. A sidecar counts as done once it has started.
4. Main containers, all of them; those that ended again, as the restart policy and the crash-loop
   delay allow. Containers that fail their liveness or startup probe, or whose image was changed,
   are killed; the next plan finds them ended and starts them again.

Worked example, restartPolicy Always, one container `app`:

    no sandbox                          create_sandbox=0
    sandbox ready, no container         start=(app attempt 0)
    app running                         nothing
    app exited 1, nothing against it    start=(app attempt 1)
    app exited again 3 s ago            waiting={app: CrashLoopBackOff}, wake_after=7.0

After Kubernetes' kubelet (`computePodActions`) in idea, not in text.
"""

from collections import Counter
from dataclasses import dataclass, field

from podling.kube import meta
from podling.kube.meta import Object
from podling.node.kubelet.planning import container_hash, pod_spec, restart_policy
from podling.node.kubelet.planning.pod_view import PodView, Waiting
from podling.node.kubelet.planning.runtime_status import Container, Sandbox

LOST_EXIT_CODE = 137
"""What is said of a container that the runtime lost: nobody saw how it ended."""


@dataclass(frozen=True, slots=True)
class Start:
    """Create and start a container."""

    name: str
    attempt: int
    replaces: str = ""
    """Id of a container that was created but never started, to be removed first."""
    restart: bool = False
    """It ran before: counts for the crash loop."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Stop a running container: preStop hook, SIGTERM, grace period, SIGKILL."""

    container_id: str
    name: str
    grace: int
    """Seconds."""
    message: str
    """For the Killing event."""


@dataclass(slots=True)
class PodPlan:
    """The actions, and what else the look brought to light."""

    create_sandbox: int | None = None
    """Attempt number of the sandbox to make; containers are planned when it is there."""
    sandbox_changed: bool = False
    """The sandbox replaces one that was lost (deserves an event)."""
    start: list[Start] = field(default_factory=list)
    """In this order, one after the other."""
    kill: list[Kill] = field(default_factory=list)
    """All at once."""
    stop_sandboxes: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    """Ids of containers so old that nobody can ask for them."""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    """Why containers that should run are not being started, by name."""
    wake_after: float | None = None
    """Seconds after which to plan again although nothing changed."""
    finished: bool = False
    """Nothing of the pod runs and nothing ever will."""

    def wake(self, seconds: float) -> None:
        seconds = max(seconds, 0.0)
        self.wake_after = seconds if self.wake_after is None else min(self.wake_after, seconds)


def plan(view: PodView, now: float) -> PodPlan:
    """Decide the next actions; `now` in seconds since the epoch."""
    result = PodPlan(remove=_leftovers(view))
    if view.stop_reason is not None or _is_over(view):
        _stop(view, result)
        return result
    sandbox = view.runtime.ready_sandbox
    if sandbox is None:
        _new_sandbox(view, now, result)
        return result
    _kill_in_other_sandboxes(view, sandbox, result)
    if _init(view, sandbox, now, result):
        _main(view, now, result)
    return result


def _is_over(view: PodView) -> bool:
    """Whether its containers have ended so that the pod is Succeeded or Failed by itself."""
    if _init_failed(view):
        return True
    policies = [(spec, pod_spec.policy(view.pod)) for spec in pod_spec.containers(view.pod)]
    return all(_ended_for_good(view, spec["name"], policy) for spec, policy in policies)


def _init_failed(view: PodView) -> bool:
    if pod_spec.policy(view.pod) != restart_policy.NEVER:
        return False
    return any(
        not pod_spec.is_sidecar(spec)
        and _ended_for_good(view, spec["name"], restart_policy.NEVER)
        and _exit_code(view, spec["name"]) != 0
        for spec in pod_spec.init_containers(view.pod)
    )


def _ended_for_good(view: PodView, name: str, policy: str) -> bool:
    code = _exit_code(view, name)
    return code is not None and not restart_policy.should_restart(policy, code)


def _exit_code(view: PodView, name: str) -> int | None:
    """How the newest container of this name ended; None if there is none or it has not ended."""
    container = view.runtime.newest(name)
    if container is not None:
        return container.exit_code if container.ended else None
    recorded = view.recorded(name)
    if recorded is None:
        return None
    terminated = recorded.get("state", {}).get("terminated")
    return int(terminated["exitCode"]) if terminated else LOST_EXIT_CODE


def _stop(view: PodView, result: PodPlan) -> None:
    running = view.runtime.running
    sidecars = {s["name"] for s in pod_spec.init_containers(view.pod) if pod_spec.is_sidecar(s)}
    main = [container for container in running if container.name not in sidecars]
    grace = pod_spec.grace_period(view.pod)
    for container in main or running:
        if container.id not in view.killing:
            result.kill.append(_kill(container, grace, f"Stopping container {container.name}"))
    if running or view.killing:
        return
    result.stop_sandboxes = [sandbox.id for sandbox in view.runtime.sandboxes if sandbox.ready]
    result.finished = not result.stop_sandboxes


def _kill(container: Container, grace: int, message: str) -> Kill:
    return Kill(container.id, container.name, grace, message)


def _new_sandbox(view: PodView, now: float, result: PodPlan) -> None:
    old = view.runtime.sandbox
    for container in view.runtime.running:
        if container.id not in view.killing:
            grace = pod_spec.grace_period(view.pod)
            result.kill.append(_kill(container, grace, f"Stopping container {container.name}"))
    if view.runtime.running or _held(view, "", now, result):
        return
    result.create_sandbox = 0 if old is None else old.attempt + 1
    result.sandbox_changed = old is not None


def _kill_in_other_sandboxes(view: PodView, sandbox: Sandbox, result: PodPlan) -> None:
    for container in view.runtime.running:
        if container.sandbox_id != sandbox.id and container.id not in view.killing:
            message = f"Container {container.name} belongs to a sandbox that was replaced"
            result.kill.append(_kill(container, pod_spec.SHORTEST_GRACE, message))


def _init(view: PodView, sandbox: Sandbox, now: float, result: PodPlan) -> bool:
    """Plan the init containers; whether the main containers may run.

    They run again in every new sandbox, but not beside main containers that run in this one.
    """
    main_begun = any(
        container.sandbox_id == sandbox.id
        for spec in pod_spec.containers(view.pod)
        for container in view.runtime.of(spec["name"])
    )
    for spec in pod_spec.init_containers(view.pod):
        current = next(
            (c for c in view.runtime.of(spec["name"]) if c.sandbox_id == sandbox.id), None
        )
        if pod_spec.is_sidecar(spec):
            _advance(view, spec, current, now, result)
            done = current is not None and current.running and view.health_of(current).started
        else:
            done = current is not None and current.ended and current.exit_code == 0
            if not done and not main_begun:
                _advance(view, spec, current, now, result)
        if not done and not main_begun:
            return False
    return True


def _main(view: PodView, now: float, result: PodPlan) -> None:
    for spec in pod_spec.containers(view.pod):
        _advance(view, spec, view.runtime.newest(spec["name"]), now, result)


def _advance(
    view: PodView, spec: Object, current: Container | None, now: float, result: PodPlan
) -> None:
    """Plan the next step of one container that should run."""
    if current is not None and current.running:
        _check_running(view, spec, current, result)
    elif current is not None and current.ended:
        _restart(view, spec, current, now, result)
    elif not _held(view, spec["name"], now, result):
        replaces = current.id if current is not None else ""
        attempt = current.attempt if current is not None else _next_attempt(view, spec["name"])
        result.start.append(Start(spec["name"], attempt, replaces, restart=attempt > 0))


def _next_attempt(view: PodView, name: str) -> int:
    newest = view.runtime.newest(name)
    if newest is not None:
        return newest.attempt + 1
    recorded = view.recorded(name)
    return 0 if recorded is None else int(recorded.get("restartCount", 0)) + 1


def _check_running(view: PodView, spec: Object, current: Container, result: PodPlan) -> None:
    if current.id in view.killing:
        return
    failed = view.health_of(current).failed
    grace = pod_spec.grace_period(view.pod)
    if failed:
        own = spec.get(f"{failed}Probe", {}).get("terminationGracePeriodSeconds")
        message = f"Container {current.name} failed {failed} probe, will be restarted"
        result.kill.append(_kill(current, grace if own is None else int(own), message))
    elif current.spec_hash and current.spec_hash != container_hash.spec_hash(spec):
        message = f"Container {current.name} definition changed, will be restarted"
        result.kill.append(_kill(current, grace, message))


def _restart(view: PodView, spec: Object, current: Container, now: float, result: PodPlan) -> None:
    name = current.name
    policy = pod_spec.policy_of(view.pod, spec)
    if not restart_policy.should_restart(policy, current.exit_code):
        return
    delay = view.history.delay(name, current.finished_at)
    remaining = current.finished_at + delay - now
    if remaining > 0:
        pod = f"{meta.name(view.pod)}_{meta.namespace(view.pod)}({meta.uid(view.pod)})"
        message = f"back-off {delay:g}s restarting failed container={name} pod={pod}"
        result.waiting[name] = Waiting("CrashLoopBackOff", message)
        result.wake(remaining)
    elif not _held(view, name, now, result):
        result.start.append(Start(name, current.attempt + 1, restart=True))


def _held(view: PodView, name: str, now: float, result: PodPlan) -> bool:
    hold = view.holds.get(name)
    if hold is None:
        return False
    result.waiting[name] = hold.waiting
    if hold.until <= now:
        return False
    result.wake(hold.until - now)
    return True


def _leftovers(view: PodView) -> list[str]:
    """Ended containers but the newest two of each name: the current one and its `lastState`."""
    seen: Counter[str] = Counter()
    old = []
    for container in view.runtime.containers:
        seen[container.name] += 1
        if seen[container.name] > 2 and container.ended:
            old.append(container.id)
    return old
