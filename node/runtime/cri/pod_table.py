"""All sandboxes and containers of the node, with the processes behind them, in memory.

Two truths meet here: the records (what was asked for; this process's own files) and the processes
(what happened; the launcher's). Every change of a container's state becomes an event once.
"""

from podling.aiokit.clock import WallClock
from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri import statuses
from podling.node.runtime.cri.cri_errors import CriError
from podling.node.runtime.cri.events import EventStream
from podling.node.runtime.cri.record_files import RecordFiles
from podling.node.runtime.cri.records import ContainerRecord, SandboxRecord
from podling.node.runtime.launcher.protocol import ProcessRecord

_STATE_EVENTS = {
    cri.CONTAINER_RUNNING: cri.CONTAINER_STARTED_EVENT,
    cri.CONTAINER_EXITED: cri.CONTAINER_STOPPED_EVENT,
}


class PodTable:
    """What the calls read and change."""

    def __init__(self, files: RecordFiles, events: EventStream, wall_clock: WallClock) -> None:
        self.files = files
        self._events = events
        self._wall_clock = wall_clock
        self._sandboxes: dict[str, SandboxRecord] = {}
        self._containers: dict[str, dict[str, ContainerRecord]] = {}
        """By sandbox id, then by container id."""
        self._sandbox_of: dict[str, str] = {}
        self._processes: dict[str, ProcessRecord] = {}
        self._shown: dict[str, cri.ContainerState.ValueType] = {}
        """The state that each container's last event told."""

    def load(self) -> None:
        """Raises StateError if a record is damaged."""
        sandboxes, containers = self.files.load()
        for sandbox in sandboxes:
            self._sandboxes[sandbox.id] = sandbox
            self._containers[sandbox.id] = {}
        for container in containers:
            self._insert(container)

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        return int(self._wall_clock() * 1e9)

    def sandboxes(self) -> list[SandboxRecord]:
        return list(self._sandboxes.values())

    def find_sandbox(self, sandbox_id: str) -> SandboxRecord | None:
        return self._sandboxes.get(sandbox_id)

    def sandbox(self, sandbox_id: str) -> SandboxRecord:
        """Raises CriError `not_found`."""
        found = self._sandboxes.get(sandbox_id)
        if found is None:
            raise CriError("not_found", f"pod sandbox {sandbox_id} not found")
        return found

    def containers(self, sandbox_id: str = "") -> list[ContainerRecord]:
        """Those of one sandbox, or all."""
        if sandbox_id:
            return list(self._containers.get(sandbox_id, {}).values())
        return [record for held in self._containers.values() for record in held.values()]

    def find_container(self, container_id: str) -> ContainerRecord | None:
        return self._containers.get(self._sandbox_of.get(container_id, ""), {}).get(container_id)

    def container(self, container_id: str) -> ContainerRecord:
        """Raises CriError `not_found`."""
        found = self.find_container(container_id)
        if found is None:
            raise CriError("not_found", f"container {container_id} not found")
        return found

    def process(self, container_id: str) -> ProcessRecord | None:
        return self._processes.get(container_id)

    def state(self, record: ContainerRecord) -> cri.ContainerState.ValueType:
        return statuses.state_of(record, self._processes.get(record.id))

    def status(self, record: ContainerRecord) -> cri.ContainerStatus:
        return statuses.container_status(record, self._processes.get(record.id))

    def add_sandbox(self, record: SandboxRecord) -> None:
        self._sandboxes[record.id] = record
        self._containers[record.id] = {}
        self._emit(record.id, record.id, cri.CONTAINER_CREATED_EVENT)
        self._emit(record.id, record.id, cri.CONTAINER_STARTED_EVENT)

    def sandbox_stopped(self, record: SandboxRecord) -> None:
        self._emit(record.id, record.id, cri.CONTAINER_STOPPED_EVENT)

    def drop_sandbox(self, record: SandboxRecord) -> None:
        if self._sandboxes.pop(record.id, None) is not None:
            self._containers.pop(record.id, None)
            self._publish(record.id, statuses.sandbox_status(record), cri.CONTAINER_DELETED_EVENT)

    def add_container(self, record: ContainerRecord) -> None:
        self._insert(record)
        self._emit(record.id, record.sandbox_id, cri.CONTAINER_CREATED_EVENT)

    def drop_container(self, record: ContainerRecord) -> None:
        self._containers.get(record.sandbox_id, {}).pop(record.id, None)
        self._sandbox_of.pop(record.id, None)
        self._processes.pop(record.id, None)
        self._shown.pop(record.id, None)
        self._emit(record.id, record.sandbox_id, cri.CONTAINER_DELETED_EVENT)

    def set_process(self, process: ProcessRecord) -> None:
        """What the launcher says of one container; an end, once known, stays."""
        record = self.find_container(process.id)
        if record is None:
            return
        known = self._processes.get(process.id)
        if known is None or not known.finished_at:
            self._processes[process.id] = process
        self._show(record)

    def set_processes(self, processes: list[ProcessRecord]) -> list[str]:
        """All that the launcher knows; returns the ids of those that no container here owns."""
        self._processes = {process.id: process for process in processes}
        for record in self.containers():
            self._show(record)
        return [process.id for process in processes if process.id not in self._sandbox_of]

    def _insert(self, record: ContainerRecord) -> None:
        self._containers[record.sandbox_id][record.id] = record
        self._sandbox_of[record.id] = record.sandbox_id

    def _show(self, record: ContainerRecord) -> None:
        """Tell a container's state if it is not the one told last; a short life tells both."""
        process = self._processes.get(record.id)
        state = statuses.state_of(record, process)
        before = self._shown.get(record.id, cri.CONTAINER_CREATED)
        if state == before or state not in _STATE_EVENTS:
            return
        unseen = state == cri.CONTAINER_EXITED and before == cri.CONTAINER_CREATED
        if unseen and process is not None and process.ran:
            self._emit(record.id, record.sandbox_id, cri.CONTAINER_STARTED_EVENT)
        self._shown[record.id] = state
        self._emit(record.id, record.sandbox_id, _STATE_EVENTS[state])

    def _emit(self, subject: str, sandbox_id: str, kind: cri.ContainerEventType.ValueType) -> None:
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is not None:
            self._publish(subject, statuses.sandbox_status(sandbox), kind)

    def _publish(
        self,
        subject: str,
        sandbox: cri.PodSandboxStatus,
        kind: cri.ContainerEventType.ValueType,
    ) -> None:
        self._events.publish(
            cri.ContainerEventResponse(
                container_id=subject,
                container_event_type=kind,
                created_at=self.now(),
                pod_sandbox_status=sandbox,
                containers_statuses=[self.status(record) for record in self.containers(sandbox.id)],
            )
        )
