"""Carries out what was planned for a pod: the calls to runtime, disk and hooks, in their order.

Nothing is decided here. What fails has been told as an Event when it raises ActionFailedError,
which says how the container waits.
"""

import asyncio
import logging
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path

from podling.aiokit.clock import WallClock
from podling.kube import meta
from podling.kube.errors import ApiError
from podling.kube.meta import Object
from podling.kube.transport import TransportError
from podling.node.cripb import api_pb2 as cri
from podling.node.kubelet.containers import container_config, environment, references
from podling.node.kubelet.containers.downward import PodFacts
from podling.node.kubelet.containers.environment import EnvironmentInputs
from podling.node.kubelet.containers.node_facts import NodeFacts, Recorder
from podling.node.kubelet.containers.references import MissingReferenceError
from podling.node.kubelet.cri.runtime_client import RuntimeCallError, RuntimeClient
from podling.node.kubelet.cri.runtime_events import RuntimeEvents
from podling.node.kubelet.planning import pod_spec
from podling.node.kubelet.planning.pod_plan import Kill, Start
from podling.node.kubelet.planning.pod_view import Waiting
from podling.node.kubelet.planning.runtime_status import Sandbox
from podling.node.kubelet.probes.prober import Prober, Target
from podling.node.kubelet.volumes.object_source import ObjectSource
from podling.node.kubelet.volumes.volumes import Volumes

log = logging.getLogger(__name__)

NORMAL = "Normal"
WARNING = "Warning"
HOOK_MARGIN = 2.0
"""Seconds that are left for SIGTERM when a preStop hook used up the grace period."""
NO_RESOLVER = (
    "this node cannot give the pod a /etc/resolv.conf that leads to cluster DNS, so names are "
    "looked up as on the host; the variables NAME_SERVICE_HOST and NAME_SERVICE_PORT lead to "
    "services"
)
POST_START_LIMIT = 600.0
"""Seconds after which a postStart hook is given up."""


class ActionFailedError(Exception):
    """A step did not work; the pod waits and it is tried again."""

    def __init__(self, container: str, waiting: Waiting, *, pull: bool = False) -> None:
        """`container`: empty if the whole pod waits. `pull`: fetching an image failed."""
        super().__init__(f"{waiting.reason}: {waiting.message}")
        self.container = container
        self.waiting = waiting
        self.pull = pull


@dataclass(frozen=True, slots=True)
class NodeTools:
    """What the pods of a node share."""

    runtime: RuntimeClient
    events: RuntimeEvents
    prober: Prober
    volumes: Volumes
    objects: ObjectSource
    service_variables: Callable[[Object], dict[str, str]]
    """The variables a pod gets about services."""
    recorder: Recorder
    facts: NodeFacts
    clock: WallClock
    log_directory: Path


class PodActions:
    """The steps for one pod."""

    def __init__(self, tools: NodeTools) -> None:
        self._tools = tools

    def event(
        self, pod: Object, kind: str, reason: str, message: str, *, container: str = ""
    ) -> None:
        """Record an Event about the pod, or about one of its containers."""
        path = ""
        if container:
            init = any(spec["name"] == container for spec in pod_spec.init_containers(pod))
            path = f"spec.{'initContainers' if init else 'containers'}{{{container}}}"
        self._tools.recorder.event(pod, kind, reason, message, field_path=path)

    async def prepare(self, pod: Object) -> None:
        """Make the pod's volumes."""
        if not pod["spec"].get("volumes"):
            return
        try:
            wanted = list(references.of_volumes(pod))
            sources = await self._tools.objects.read(meta.namespace(pod), wanted)
            self._tools.volumes.set_up(pod, sources, self._facts(()))
        except (MissingReferenceError, ApiError, TransportError) as error:
            self.event(pod, WARNING, "FailedMount", f"MountVolume.SetUp failed: {error}")
            raise ActionFailedError("", Waiting("ContainerCreating", str(error))) from None

    async def create_sandbox(self, pod: Object, attempt: int) -> None:
        """Make the sandbox and see it in the cache."""
        config = self._sandbox_config(pod, attempt)
        _make_directory(Path(config.log_directory))
        try:
            sandbox_id = await self._tools.runtime.run_sandbox(config)
            await self._tools.events.refresh(sandbox_id)
        except RuntimeCallError as error:
            message = f"Failed to create pod sandbox: {error}"
            self.event(pod, WARNING, "FailedCreatePodSandBox", message)
            raise ActionFailedError("", Waiting("ContainerCreating", message)) from None
        facts = self._tools.facts
        resolves = facts.mounts_files and facts.dns.nameable
        if container_config.wants_cluster_dns(pod) and not resolves:
            self.event(pod, NORMAL, "ResolverNotMounted", NO_RESOLVER)

    async def start(
        self, pod: Object, start: Start, sandbox: Sandbox, pod_ips: tuple[str, ...]
    ) -> None:
        """Create and start a container, run its postStart hook, see it in the cache."""
        spec = pod_spec.container(pod, start.name)
        if spec is None:
            raise ActionFailedError(start.name, Waiting("CreateContainerError", "not in the spec"))
        try:
            if start.replaces:
                await self._tools.runtime.remove_container(start.replaces)
            sandbox_config = self._sandbox_config(pod, sandbox.attempt)
            await self._image(pod, spec, sandbox_config)
            config = await self._container_config(pod, spec, start.attempt, pod_ips)
            _make_directory(Path(sandbox_config.log_directory) / start.name)
            container_id = await self._create(pod, spec, sandbox, config, sandbox_config)
            await self._start(pod, spec, container_id)
            await self._post_start(pod, spec, container_id, pod_ips)
        finally:
            await self._look(sandbox.id)

    async def kill(self, pod: Object, kill: Kill, sandbox_id: str, address: str) -> None:
        """preStop hook, SIGTERM, SIGKILL; returns when the container has ended."""
        self.event(pod, NORMAL, "Killing", kill.message, container=kill.name)
        loop = asyncio.get_running_loop()
        began = loop.time()
        spec = pod_spec.container(pod, kill.name) or {"name": kill.name}
        hook = (spec.get("lifecycle") or {}).get("preStop")
        if hook:
            target = Target(kill.container_id, spec, address)
            answer = await self._tools.prober.ask(hook, target, kill.grace)
            if not answer.success:
                self.event(
                    pod, WARNING, "FailedPreStopHook", f"PreStopHook failed: {answer.output}"
                )
        least = HOOK_MARGIN if hook else 0.0
        grace = max(least, kill.grace - (loop.time() - began))
        try:
            await self._tools.runtime.stop_container(kill.container_id, grace)
        except RuntimeCallError as error:
            if not error.not_found:
                raise
        finally:
            await self._look(sandbox_id)

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self._tools.runtime.stop_sandbox(sandbox_id)
        await self._look(sandbox_id)

    async def remove_container(self, container_id: str, log_path: str) -> None:
        """Forget a container that ended long ago, and its log."""
        await self._tools.runtime.remove_container(container_id)
        if log_path:
            _remove_file(Path(log_path))

    async def clean_up(self, pod: Object, sandbox_ids: list[str]) -> None:
        """Remove everything that is left of a pod that is gone."""
        for sandbox_id in sandbox_ids:
            await self._tools.runtime.remove_sandbox(sandbox_id)
            await self._tools.events.refresh(sandbox_id)
        self._tools.volumes.tear_down(meta.uid(pod))
        _remove_logs(self._logs(pod))

    def clean_logs(self, uids: Container[str]) -> None:
        """Remove the logs of all pods but these."""
        for directory in self._tools.log_directory.glob("*_*_*"):
            if container_config.uid_of_log_directory(directory.name) not in uids:
                _remove_logs(directory)

    def _logs(self, pod: Object) -> Path:
        directory = container_config.log_directory_name(
            meta.namespace(pod), meta.name(pod), meta.uid(pod)
        )
        return self._tools.log_directory / directory

    def _sandbox_config(self, pod: Object, attempt: int) -> cri.PodSandboxConfig:
        return container_config.sandbox(pod, attempt, str(self._logs(pod)), self._tools.facts.dns)

    def _facts(self, pod_ips: tuple[str, ...]) -> PodFacts:
        facts = self._tools.facts
        return PodFacts(pod_ips, facts.host_ips, facts.allocatable)

    async def _image(self, pod: Object, spec: Object, sandbox: cri.PodSandboxConfig) -> None:
        image, policy = spec.get("image", ""), container_config.pull_policy(spec)
        if not image:
            return
        runtime = self._tools.runtime
        try:
            if policy != "Always" and await runtime.image_ref(image):
                message = f'Container image "{image}" already present on machine'
                self.event(pod, NORMAL, "Pulled", message, container=spec["name"])
                return
            if policy == "Never":
                message = f'Container image "{image}" is not present with pull policy of Never'
                self.event(pod, WARNING, "ErrImageNeverPull", message, container=spec["name"])
                raise ActionFailedError(spec["name"], Waiting("ErrImageNeverPull", message))
            self.event(pod, NORMAL, "Pulling", f'Pulling image "{image}"', container=spec["name"])
            await runtime.pull_image(image, sandbox)
        except RuntimeCallError as error:
            self.event(
                pod,
                WARNING,
                "Failed",
                f'Failed to pull image "{image}": {error}',
                container=spec["name"],
            )
            self.event(pod, WARNING, "Failed", "Error: ErrImagePull", container=spec["name"])
            waiting = Waiting("ErrImagePull", str(error))
            raise ActionFailedError(spec["name"], waiting, pull=True) from None
        self.event(
            pod, NORMAL, "Pulled", f'Successfully pulled image "{image}"', container=spec["name"]
        )

    async def _container_config(
        self, pod: Object, spec: Object, attempt: int, pod_ips: tuple[str, ...]
    ) -> cri.ContainerConfig:
        try:
            wanted = list(references.of_environment(spec))
            sources = references.Sources()
            if wanted:
                sources = await self._tools.objects.read(meta.namespace(pod), wanted)
            inputs = EnvironmentInputs(
                sources, self._tools.service_variables(pod), self._facts(pod_ips)
            )
            variables = environment.build(pod, spec, inputs)
            mounts = self._tools.volumes.mounts(pod, spec, variables)
        except (MissingReferenceError, ApiError, TransportError) as error:
            raise self._failed(pod, spec, "CreateContainerConfigError", str(error)) from None
        return container_config.container(pod, spec, attempt, variables, mounts)

    async def _create(
        self,
        pod: Object,
        spec: Object,
        sandbox: Sandbox,
        config: cri.ContainerConfig,
        sandbox_config: cri.PodSandboxConfig,
    ) -> str:
        try:
            created = await self._tools.runtime.create_container(sandbox.id, config, sandbox_config)
        except RuntimeCallError as error:
            # A runtime that learns only now that an image is of no use says so in front.
            reason, text = "CreateContainerError", str(error)
            if text.startswith("ErrImagePull: "):
                reason, text = "ErrImagePull", text.removeprefix("ErrImagePull: ")
            raise self._failed(pod, spec, reason, text) from None
        self.event(
            pod, NORMAL, "Created", f"Created container: {spec['name']}", container=spec["name"]
        )
        return created

    async def _start(self, pod: Object, spec: Object, container_id: str) -> None:
        try:
            await self._tools.runtime.start_container(container_id)
        except RuntimeCallError as error:
            raise self._failed(pod, spec, "RunContainerError", str(error)) from None
        self.event(
            pod, NORMAL, "Started", f"Started container {spec['name']}", container=spec["name"]
        )

    async def _post_start(
        self, pod: Object, spec: Object, container_id: str, pod_ips: tuple[str, ...]
    ) -> None:
        hook = (spec.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        target = Target(container_id, spec, next(iter(pod_ips), ""))
        answer = await self._tools.prober.ask(hook, target, POST_START_LIMIT)
        if answer.success:
            return
        self.event(
            pod,
            WARNING,
            "FailedPostStartHook",
            f"PostStartHook failed: {answer.output}",
            container=spec["name"],
        )
        self.event(
            pod,
            NORMAL,
            "Killing",
            f"FailedPostStartHook: stopping {spec['name']}",
            container=spec["name"],
        )
        await self._tools.runtime.stop_container(container_id, pod_spec.grace_period(pod))
        raise ActionFailedError(spec["name"], Waiting("PostStartHookError", answer.output))

    def _failed(self, pod: Object, spec: Object, reason: str, text: str) -> ActionFailedError:
        self.event(pod, WARNING, "Failed", f"Error: {text}", container=spec["name"])
        return ActionFailedError(spec["name"], Waiting(reason, text))

    async def _look(self, sandbox_id: str) -> None:
        """See what a call did. A runtime that does not answer will be listed when it is back."""
        try:
            await self._tools.events.refresh(sandbox_id)
        except RuntimeCallError as error:
            log.warning("cannot look at sandbox %s: %s", sandbox_id, error)


def _make_directory(path: Path) -> None:
    path.mkdir(mode=0o755, parents=True, exist_ok=True)


def _remove_file(path: Path) -> None:
    path.unlink(missing_ok=True)


def _remove_logs(directory: Path) -> None:
    for path in sorted(directory.glob("*/*"), reverse=True):
        path.unlink(missing_ok=True)
    for path in [*directory.glob("*"), directory]:
        if path.is_dir():
            path.rmdir()
