"""The probes of one pod's running containers: asks when it is time, keeps the verdicts."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from podling.aiokit.tasks import TaskSet
from podling.kube.meta import Object
from podling.node.kubelet.planning import pod_spec
from podling.node.kubelet.planning.pod_view import Health
from podling.node.kubelet.planning.runtime_status import Container
from podling.node.kubelet.probes.probe_state import ProbeKind, ProbeState, ProbeTimes
from podling.node.kubelet.probes.prober import Answer, Prober, Target

#: Told (container name, which probe, its answer) of every failure.
OnFailure = Callable[[str, ProbeKind, Answer], None]


class PodProbes:
    """Follows the set of running containers; `changed` is called when a verdict changes."""

    def __init__(
        self, prober: Prober, changed: Callable[[], None], failed: OnFailure, owner: str
    ) -> None:
        self._prober = prober
        self._changed = changed
        self._failed = failed
        self._owner = owner
        self._containers: dict[str, _ContainerProbes] = {}

    @property
    def health(self) -> Mapping[str, Health]:
        """By container id, of the containers given to `follow` last."""
        return {key: probes.health for key, probes in self._containers.items()}

    def follow(self, pod: Object, running: Iterable[Container], address: str) -> None:
        """Probe these containers and no others. `address`: the pod's.

        A container that the API already calls started or ready (after a restart of the kubelet)
        stays so until its probes say otherwise.
        """
        wanted = {container.id: container for container in running}
        for gone in self._containers.keys() - wanted.keys():
            self._containers.pop(gone).close()
        for container_id in wanted.keys() - self._containers.keys():
            spec = pod_spec.container(pod, wanted[container_id].name)
            if spec is not None:
                self._containers[container_id] = self._begin(pod, spec, container_id, address)

    def stop_liveness(self) -> None:
        """The pod is being stopped: readiness goes on being asked, life does not matter."""
        for probes in self._containers.values():
            probes.stop_liveness()

    async def close(self) -> None:
        for probes in self._containers.values():
            await probes.tasks.close()
        self._containers.clear()

    def _begin(
        self, pod: Object, spec: Object, container_id: str, address: str
    ) -> "_ContainerProbes":
        target = Target(container_id, spec, address)
        probes = _ContainerProbes(target, self._prober, self._changed, self._failed, self._owner)
        probes.begin(_recorded(pod, container_id))
        return probes


class _ContainerProbes:
    """Up to three probes of one container."""

    def __init__(
        self,
        target: Target,
        prober: Prober,
        changed: Callable[[], None],
        failed: OnFailure,
        owner: str,
    ) -> None:
        self._target = target
        self._prober = prober
        self._changed = changed
        self._failed = failed
        self.tasks = TaskSet(f"{owner}/probes")
        self._states: dict[ProbeKind, ProbeState] = {}
        self._running: dict[ProbeKind, asyncio.Task[None]] = {}

    @property
    def health(self) -> Health:
        startup = self._states.get(ProbeKind.STARTUP)
        readiness = self._states.get(ProbeKind.READINESS)
        started = startup is None or startup.succeeding
        condemned = [kind.value for kind, state in self._states.items() if state.condemned]
        return Health(
            started=started,
            ready=started and (readiness is None or readiness.succeeding),
            failed=condemned[0] if condemned else "",
        )

    def begin(self, recorded: Object) -> None:
        now = asyncio.get_running_loop().time()
        for kind in ProbeKind:
            question = self._target.spec.get(f"{kind.value}Probe")
            if question:
                self._states[kind] = ProbeState(kind, ProbeTimes.of(question), now)
        startup = self._states.get(ProbeKind.STARTUP)
        if startup is not None and recorded.get("started"):
            startup.succeeding = True
        if ProbeKind.READINESS in self._states and recorded.get("ready"):
            self._states[ProbeKind.READINESS].succeeding = True
        if startup is not None and not startup.succeeding:
            self._ask_forever(ProbeKind.STARTUP)
        else:
            self._after_startup()

    def close(self) -> None:
        for task in self._running.values():
            task.cancel()

    def stop_liveness(self) -> None:
        for kind in (ProbeKind.STARTUP, ProbeKind.LIVENESS):
            task = self._running.get(kind)
            if task is not None:
                task.cancel()

    def _after_startup(self) -> None:
        now = asyncio.get_running_loop().time()
        for kind in (ProbeKind.LIVENESS, ProbeKind.READINESS):
            if kind in self._states:
                self._states[kind].postpone(now)
                self._ask_forever(kind)

    def _ask_forever(self, kind: ProbeKind) -> None:
        self._running[kind] = self.tasks.spawn(self._ask(self._states[kind]), name=kind.value)

    async def _ask(self, state: ProbeState) -> None:
        loop = asyncio.get_running_loop()
        question = self._target.spec[f"{state.kind.value}Probe"]
        while not state.over:
            await asyncio.sleep(max(0.0, state.next_at - loop.time()))
            answer = await self._prober.ask(question, self._target, state.times.timeout)
            if not answer.success:
                self._failed(self._target.spec["name"], state.kind, answer)
            if state.result(answer.success, loop.time()):
                self._changed()
        if state.kind is ProbeKind.STARTUP and state.succeeding:
            self._after_startup()


def _recorded(pod: Object, container_id: str) -> Object:
    """What the API says of this very container; empty if nothing."""
    status = pod.get("status", {})
    for field_name in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(field_name) or []:
            if str(entry.get("containerID", "")).endswith(f"://{container_id}"):
                found: Object = entry
                return found
    return {}
