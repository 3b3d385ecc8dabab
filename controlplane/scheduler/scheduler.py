"""The loop that gives pods to nodes.

    informer says a pod waits -> `PendingPods` -> decide on the snapshot -> assume -> POST binding
                                      ^                  |                              |
                                      +--- unfit: condition and Event ---- refused: forget

Decisions are made one at a time and never wait; bindings are under way at the same time, as many as
the configuration allows. Everything is woken by what the informers tell: nothing polls.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from podling.aiokit.backoff import Backoff
from podling.aiokit.clock import WallClock
from podling.aiokit.tasks import TaskSet
from podling.controlplane.scheduler import pod_conditions
from podling.controlplane.scheduler.decide import Placement, decide
from podling.controlplane.scheduler.node_info import node_facts
from podling.controlplane.scheduler.pending import FOREVER, PendingConfig, PendingPods
from podling.controlplane.scheduler.pod_conditions import PodConditions
from podling.controlplane.scheduler.pod_info import DEFAULT_SCHEDULER, PodInfo, pod_info
from podling.controlplane.scheduler.snapshot import Cluster
from podling.kube import kinds, meta
from podling.kube.client import Client
from podling.kube.errors import ApiError, Conflict, NotFound
from podling.kube.event_recorder import NORMAL, WARNING, EventRecorder
from podling.kube.informer import InformerFactory
from podling.kube.meta import Object
from podling.kube.transport import TransportError

log = logging.getLogger(__name__)

SCHEDULED: Final = "Scheduled"
FAILED_SCHEDULING: Final = "FailedScheduling"


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    scheduler_name: str = DEFAULT_SCHEDULER
    """Pods that name another one are left alone."""
    pending: PendingConfig = field(default_factory=PendingConfig)
    bindings_in_flight: int = 64
    """No further decision is made while so many bindings are under way."""
    condition_backoff: tuple[float, float] = (0.1, 10.0)
    """Seconds, first and longest, between attempts to write a pod's condition."""


class Scheduler:
    """A component, to be run by the leader only: two at a time do no harm but double the work."""

    def __init__(
        self,
        config: SchedulerConfig,
        client: Client,
        informers: InformerFactory,
        events: EventRecorder,
        *,
        dice: Random,
        wall_clock: WallClock,
    ) -> None:
        self._config = config
        self._client = client
        self._events = events
        self._dice = dice
        self._pods = informers.informer(kinds.POD)
        self._nodes = informers.informer(kinds.NODE)
        self._conditions = PodConditions(
            client, self._pods, Backoff(*config.condition_backoff, dice), wall_clock
        )
        self._cluster = Cluster()
        self._pending = PendingPods(config.pending)
        #: The waiting pods, by key: exactly the keys in `_pending`.
        self._waiting: dict[str, PodInfo] = {}
        self._news = asyncio.Event()
        self._slots = asyncio.Semaphore(config.bindings_in_flight)
        self._unsubscribe: list[Callable[[], None]] = []
        self._tasks = TaskSet(self.name)

    @property
    def name(self) -> str:
        return "scheduler"

    async def start(self) -> None:
        self._unsubscribe = [
            self._nodes.subscribe(self._node_changed),
            self._pods.subscribe(self._pod_changed),
        ]
        await self._conditions.start()
        self._tasks.spawn(self._run(), name="loop")

    async def stop(self) -> None:
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        await self._tasks.close()
        await self._conditions.stop()

    def _node_changed(self, name: str) -> None:
        node = self._nodes.get(name)
        if node is None:
            self._cluster.remove_node(name)
        elif self._cluster.set_node(node_facts(node)):
            self._wake()

    def _pod_changed(self, key: str) -> None:
        pod = self._pods.get(key)
        if pod is None:
            self._pod_gone(key)
            return
        info = pod_info(pod)
        if info.node_name and not info.finished:
            self._stop_waiting(key)
            self._cluster.set_pod(info)
        elif info.waits and info.scheduler_name == self._config.scheduler_name:
            self._pod_waits(info)
        else:
            self._pod_gone(key)

    def _pod_waits(self, info: PodInfo) -> None:
        known = self._waiting.get(info.key)
        if known == info:
            return
        if known is not None and known.uid != info.uid:
            self._pod_gone(info.key)
        # While its binding is under way, what changed counts only if that fails.
        self._waiting[info.key] = info
        self._pending.add(info.key, info.priority, self._now())
        self._news.set()

    def _pod_gone(self, key: str) -> None:
        self._stop_waiting(key)
        if self._cluster.remove_pod(key):
            self._wake()

    def _stop_waiting(self, key: str) -> None:
        if self._waiting.pop(key, None) is not None:
            self._pending.remove(key)
            self._conditions.forget(key)

    def _wake(self) -> None:
        self._pending.wake(self._now())
        self._news.set()

    async def _run(self) -> None:
        await self._nodes.wait_synced()
        await self._pods.wait_synced()
        while True:
            await self._slots.acquire()
            pod = self._waiting[await self._next()]
            try:
                self._schedule(pod)
            except Exception:
                # One strange pod must not keep all others waiting.
                log.exception("cannot decide about %s", pod.key)
                self._pending.failed(pod.key, self._now())
                self._slots.release()
            # The bindings begun so far are sent before the next decision is made.
            await asyncio.sleep(0)

    async def _next(self) -> str:
        """The key of the pod whose turn it is."""
        while True:
            self._pending.advance(self._now())
            key = self._pending.pop()
            if key is not None:
                return key
            self._news.clear()
            due = self._pending.next_due()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(None if due == FOREVER else due):
                    await self._news.wait()

    def _schedule(self, pod: PodInfo) -> None:
        """Decide, and do what was decided; owns one slot."""
        verdict = decide(pod, self._cluster.snapshot(), self._dice)
        if isinstance(verdict, Placement):
            self._cluster.assume(pod, verdict.node_name)
            self._tasks.spawn(self._bind(pod, verdict.node_name), name=f"bind {pod.key}")
            return
        self._slots.release()
        log.debug("%s fits nowhere: %s", pod.key, verdict.message)
        self._pending.unfit(pod.key, self._now())
        self._events.event(_reference(pod), WARNING, FAILED_SCHEDULING, verdict.message)
        self._conditions.say(pod.key, pod_conditions.UNSCHEDULABLE, verdict.message)

    async def _bind(self, pod: PodInfo, node_name: str) -> None:
        namespace, name = meta.split_key(pod.key)
        try:
            await self._client.create_subresource(
                kinds.POD, name, "binding", _binding(pod, node_name), namespace
            )
        except (ApiError, TransportError) as error:
            self._binding_failed(pod, node_name, error)
        else:
            message = f"Successfully assigned {pod.key} to {node_name}"
            self._events.event(_reference(pod), NORMAL, SCHEDULED, message)
        finally:
            self._slots.release()

    def _binding_failed(self, pod: PodInfo, node_name: str, error: Exception) -> None:
        """Whether it was bound may be unknown; if it was, the informer will say so."""
        log.info("binding %s to %s failed: %s", pod.key, node_name, error)
        if not (self._cluster.is_assumed(pod) and self._cluster.forget(pod.key)):
            return
        self._pending.failed(pod.key, self._now())
        self._wake()
        if not isinstance(error, NotFound | Conflict):
            message = f"binding to {node_name} failed: {error}"
            self._events.event(_reference(pod), WARNING, FAILED_SCHEDULING, message)
            self._conditions.say(pod.key, pod_conditions.SCHEDULER_ERROR, message)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _reference(pod: PodInfo) -> Object:
    namespace, name = meta.split_key(pod.key)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "uid": pod.uid},
    }


def _binding(pod: PodInfo, node_name: str) -> Object:
    namespace, name = meta.split_key(pod.key)
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": namespace, "uid": pod.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node_name},
    }
