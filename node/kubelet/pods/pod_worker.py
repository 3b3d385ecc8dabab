"""The one task per pod: look at everything, plan, set the actions going, report; then wait.

A turn is synchronous and never waits, so it always sees one moment. Actions are tasks of their own:

* one that brings the pod up (volumes, sandbox, containers in their order), cancelled when the pod
  must stop;
* one per container that is being killed, so that a long grace period keeps nothing else waiting;
* one that stops the sandbox or cleans up at the end.

Each ends with another turn. Being told twice is free: whoever has news calls `poke` or `update`,
and the next turn reads the newest state, wherever it came from.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from podling.aiokit.earliest_timer import EarliestTimer
from podling.aiokit.tasks import TaskSet
from podling.kube import meta, timestamps
from podling.kube.meta import Object
from podling.node.kubelet.containers import references
from podling.node.kubelet.cri.runtime_cache import RuntimeCache
from podling.node.kubelet.cri.runtime_client import RuntimeCallError
from podling.node.kubelet.planning import pod_plan, pod_spec, pod_status
from podling.node.kubelet.planning.pod_plan import Kill, PodPlan, Start
from podling.node.kubelet.planning.pod_view import Hold, PodView, StopReason, Waiting
from podling.node.kubelet.planning.restart_policy import DelayRange, RestartHistory
from podling.node.kubelet.planning.runtime_status import PodRuntime
from podling.node.kubelet.pods.pod_actions import (
    NORMAL,
    WARNING,
    ActionFailedError,
    NodeTools,
    PodActions,
)
from podling.node.kubelet.pods.status_manager import StatusManager
from podling.node.kubelet.probes.pod_probes import PodProbes
from podling.node.kubelet.probes.probe_state import ProbeKind
from podling.node.kubelet.probes.prober import Answer

log = logging.getLogger(__name__)

RETRY = DelayRange(initial=1.0, cap=10.0)
"""Delays after a sandbox or a container could not be made."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What all workers have in common."""

    tools: NodeTools
    cache: RuntimeCache
    status: StatusManager
    crash_loop: DelayRange


class PodWorker:
    """Makes the runtime hold what one pod says; lives until nothing is left of the pod."""

    def __init__(
        self, pod: Object, settings: WorkerSettings, ended: Callable[["PodWorker"], None]
    ) -> None:
        self.uid = meta.uid(pod)
        self.key = meta.key(pod)
        self._pod = pod
        self._gone = False
        self._settings = settings
        self._tools = settings.tools
        self._actions = PodActions(settings.tools)
        self._ended = ended
        self._history = RestartHistory(settings.crash_loop)
        self._failures: dict[str, int] = {}
        self._holds: dict[str, Hold] = {}
        self._killing: dict[str, tuple[asyncio.Task[None], int]] = {}
        self._bringing_up: asyncio.Task[None] | None = None
        self._starting = ""
        """The container whose postStart hook is not over: neither started nor probed yet."""
        self._ending: asyncio.Task[None] | None = None
        self._prepared = False
        self._unwatch: Callable[[], None] | None = None
        self._backing_off: set[tuple[str, int]] = set()
        self._wake = asyncio.Event()
        self._timer = EarliestTimer(lambda _: self.poke())
        self._tasks = TaskSet(f"pod/{self.key}")
        self._probes = PodProbes(
            self._tools.prober, self.poke, self._probe_failed, f"pod/{self.key}"
        )
        self._reported: Object = pod.get("status") or {}

    def start(self) -> None:
        self._tasks.spawn(self._run(), name="worker")
        self.poke()

    async def stop(self) -> None:
        """Let go of the pod; its containers keep running."""
        self._timer.cancel()
        if self._unwatch is not None:
            self._unwatch()
        await self._probes.close()
        await self._tasks.close()

    def update(self, pod: Object) -> None:
        """The API has a new state of the pod."""
        self._pod = pod
        self.poke()

    def remove(self) -> None:
        """The API has no such pod (any more)."""
        self._gone = True
        self.poke()

    def poke(self) -> None:
        """There is news."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                self._turn()
            except Exception:
                log.exception("pod %s: cannot work on it", self.key)
                self._wake_after(RETRY.cap)

    def _turn(self) -> None:
        now = self._tools.clock()
        runtime = self._settings.cache.pod(self.uid) or PodRuntime(self.uid, "", "")
        view = self._view(runtime, now)
        plan = pod_plan.plan(view, now)
        self._back_off_events(view, plan)
        self._carry_out(view, plan)
        self._report(view, plan, now)
        if plan.wake_after is not None:
            self._wake_after(plan.wake_after)

    def _view(self, runtime: PodRuntime, now: float) -> PodView:
        self._pod = self._settings.status.newest(self._pod)
        addresses = pod_status.sandbox_ips(self._pod, runtime, self._tools.facts.host_ips)
        running = [each for each in runtime.running if each.name != self._starting]
        self._probes.follow(self._pod, running, next(iter(addresses), ""))
        return PodView(
            pod=self._pod,
            runtime=runtime,
            history=self._history,
            health=self._probes.health,
            holds=self._holds,
            killing=frozenset(self._killing),
            gone=self._gone,
            deadline_passed=self._deadline_passed(now),
        )

    def _deadline_passed(self, now: float) -> bool:
        limit = self._pod["spec"].get("activeDeadlineSeconds")
        began = self._reported.get("startTime")
        if limit is None or began is None:
            return False
        remaining = timestamps.parse_time(began) + limit - now
        if remaining > 0:
            self._wake_after(remaining)
        return bool(remaining <= 0)

    def _carry_out(self, view: PodView, plan: PodPlan) -> None:
        stopping = view.stop_reason is not None
        if stopping:
            self._probes.stop_liveness()
            if self._bringing_up is not None:
                self._bringing_up.cancel()
            self._hurry_kills()
        for kill in plan.kill:
            self._kill(view, kill)
        if self._bringing_up is not None or self._ending is not None:
            return
        if plan.stop_sandboxes:
            self._ending = self._spawn(self._stop_sandboxes(plan.stop_sandboxes), "stop")
        elif plan.finished and self._gone:
            sandboxes = [sandbox.id for sandbox in view.runtime.sandboxes]
            self._ending = self._spawn(self._clean_up(sandboxes), "clean-up")
        elif not stopping and self._has_work(plan):
            self._bringing_up = self._spawn(self._bring_up(view, plan), "bring-up")

    def _has_work(self, plan: PodPlan) -> bool:
        if plan.finished:
            return False
        held = self._holds.get("")
        if held is not None and held.until > self._tools.clock():
            self._wake_after(held.until - self._tools.clock())
            return False
        makes = plan.create_sandbox is not None or plan.start or plan.remove
        return bool(makes) or not self._prepared

    def _report(self, view: PodView, plan: PodPlan, now: float) -> None:
        if self._gone:
            return
        status = pod_status.compute(
            view,
            plan,
            self._reported,
            host_ips=self._tools.facts.host_ips,
            runtime_name=self._tools.facts.runtime_name,
            now=now,
        )
        before, self._reported = self._reported, status
        finished = plan.finished and view.stop_reason is StopReason.DELETED
        urgent = finished or (not meta.is_deleting(self._pod) and _is_news(before, status, plan))
        self._settings.status.publish(self._pod, status, finished=finished, urgent=urgent)

    # What the actions are.

    async def _bring_up(self, view: PodView, plan: PodPlan) -> None:
        try:
            if not self._prepared:
                await self._prepare(view.pod)
            for container_id in plan.remove:
                old = view.runtime.by_id(container_id)
                await self._actions.remove_container(container_id, old.log_path if old else "")
            if plan.create_sandbox is not None:
                if plan.sandbox_changed:
                    message = "Pod sandbox changed, it will be killed and re-created."
                    self._actions.event(view.pod, NORMAL, "SandboxChanged", message)
                await self._actions.create_sandbox(view.pod, plan.create_sandbox)
            self._succeeded("")
            for start in plan.start:
                await self._start(view, start)
            if plan.remove and (sandbox := view.runtime.sandbox) is not None:
                await self._tools.events.refresh(sandbox.id)
        except ActionFailedError as error:
            self._failed("", error)
        except RuntimeCallError as error:
            log.warning("pod %s: %s: %s", self.key, error.call, error)
            self._failed("", ActionFailedError("", Waiting("ContainerCreating", str(error))))
        finally:
            self._bringing_up = None

    async def _start(self, view: PodView, start: Start) -> None:
        sandbox = view.runtime.ready_sandbox
        if sandbox is None:
            return
        if start.restart:
            self._history.restarted(start.name, self._tools.clock())
        addresses = pod_status.pod_ips(view, self._tools.facts.host_ips)
        if pod_spec.has_post_start_hook(view.pod, start.name):
            self._starting = start.name
        try:
            await self._actions.start(view.pod, start, sandbox, addresses)
            self._succeeded(start.name)
        except ActionFailedError as error:
            self._failed(start.name, error)
        finally:
            self._starting = ""
            self.poke()

    async def _prepare(self, pod: Object) -> None:
        await self._actions.prepare(pod)
        self._prepared = True
        wanted = list(references.of_volumes(pod))
        if wanted and self._unwatch is None:
            self._unwatch = await self._tools.objects.watch(
                meta.namespace(pod), wanted, self._objects_changed
            )

    def _objects_changed(self) -> None:
        self._prepared = False
        self.poke()

    def _kill(self, view: PodView, kill: Kill) -> None:
        container = view.runtime.by_id(kill.container_id)
        sandbox_id = container.sandbox_id if container is not None else ""
        addresses = pod_status.pod_ips(view, self._tools.facts.host_ips)
        work = self._kill_now(kill, sandbox_id, next(iter(addresses), ""))
        self._killing[kill.container_id] = (self._spawn(work, f"kill-{kill.name}"), kill.grace)

    async def _kill_now(self, kill: Kill, sandbox_id: str, address: str) -> None:
        task = asyncio.current_task()
        try:
            await self._actions.kill(self._pod, kill, sandbox_id, address)
        except RuntimeCallError as error:
            log.warning("pod %s: cannot stop container %s: %s", self.key, kill.name, error)
            await asyncio.sleep(RETRY.initial)
        finally:
            # A kill with a shorter grace may have taken this one's place.
            if self._killing.get(kill.container_id, (None, 0))[0] is task:
                del self._killing[kill.container_id]

    def _hurry_kills(self) -> None:
        """The pod may now have less time than when its containers were told to end."""
        grace = pod_spec.grace_period(self._pod)
        for container_id, (task, given) in list(self._killing.items()):
            if grace < given:
                del self._killing[container_id]
                task.cancel()

    async def _stop_sandboxes(self, sandbox_ids: list[str]) -> None:
        try:
            for sandbox_id in sandbox_ids:
                await self._actions.stop_sandbox(sandbox_id)
        except RuntimeCallError as error:
            log.warning("pod %s: cannot stop its sandbox: %s", self.key, error)
            await asyncio.sleep(RETRY.initial)
        finally:
            self._ending = None

    async def _clean_up(self, sandbox_ids: list[str]) -> None:
        try:
            await self._actions.clean_up(self._pod, sandbox_ids)
        except RuntimeCallError as error:
            log.warning("pod %s: cannot clean up: %s", self.key, error)
            await asyncio.sleep(RETRY.initial)
            self._ending = None
        else:
            self._settings.status.forget(self.uid)
            self._ended(self)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._tasks.spawn(work, name=name)
        task.add_done_callback(lambda _: self.poke())
        return task

    # What is remembered of failures.

    def _succeeded(self, name: str) -> None:
        self._failures.pop(name, None)
        self._holds.pop(name, None)

    def _failed(self, name: str, error: ActionFailedError) -> None:
        count = self._failures[name] = self._failures.get(name, 0) + 1
        delays = self._settings.crash_loop if error.pull else RETRY
        delay = min(delays.cap, delays.initial * 2 ** min(count - 1, 20))
        waiting = error.waiting
        if error.pull and count > 1:
            text = f"Back-off pulling image: {waiting.reason}: {waiting.message}"
            waiting = Waiting("ImagePullBackOff", text)
        self._holds[name] = Hold(self._tools.clock() + delay, waiting)

    def _back_off_events(self, view: PodView, plan: PodPlan) -> None:
        for name, waiting in plan.waiting.items():
            container = view.runtime.newest(name)
            if waiting.reason != "CrashLoopBackOff" or container is None:
                continue
            if (name, container.attempt) not in self._backing_off:
                self._backing_off = {each for each in self._backing_off if each[0] != name}
                self._backing_off.add((name, container.attempt))
                where = pod_status.describe(view.pod)
                message = f"Back-off restarting failed container {name} in pod {where}"
                self._actions.event(view.pod, WARNING, "BackOff", message, container=name)

    def _probe_failed(self, name: str, kind: ProbeKind, answer: Answer) -> None:
        message = f"{kind.value.capitalize()} probe failed: {answer.output}"
        self._actions.event(self._pod, WARNING, "Unhealthy", message, container=name)

    def _wake_after(self, seconds: float) -> None:
        """Have a turn then; only the earliest of several wishes counts."""
        self._timer.ask(asyncio.get_running_loop().time() + max(seconds, 0.0) + 0.001)


def _is_news(before: Object, status: Object, plan: PodPlan) -> bool:
    """Whether somebody waits for this: the step of a pod that is still being made is not news."""
    if plan.waiting:
        return True
    if before.get("phase") != status["phase"]:
        return bool(status["phase"] != "Pending")
    return _verdicts(before) != _verdicts(status) and status["phase"] != "Pending"


def _verdicts(status: Object) -> list[tuple[str, str]]:
    return [(entry["type"], entry["status"]) for entry in status.get("conditions") or []]
