"""What the container runtime holds for one pod, as plain values. Pure.

Times are seconds since the Unix epoch; 0 means that it has not happened.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass


class ContainerState(enum.Enum):
    """CRI's states of a container."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One pod sandbox: the pod's address and whatever its containers share."""

    id: str
    attempt: int
    """How many sandboxes the pod had before this one."""
    ready: bool
    created_at: float = 0.0
    ips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """One container, which never runs twice: a restart is a new one with the next `attempt`."""

    id: str
    name: str
    sandbox_id: str
    attempt: int
    state: ContainerState
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    image: str = ""
    image_ref: str = ""
    reason: str = ""
    """The runtime's word for how it ended: `Completed`, `Error`, `OOMKilled`."""
    message: str = ""
    spec_hash: str = ""
    """Hash of what may change in a container's spec (see container_config.spec_hash)."""
    log_path: str = ""
    """Absolute path of its log."""

    @property
    def running(self) -> bool:
        return self.state is ContainerState.RUNNING

    @property
    def ended(self) -> bool:
        return self.state in (ContainerState.EXITED, ContainerState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class PodRuntime:
    """Everything the runtime holds for one pod."""

    uid: str
    namespace: str
    name: str
    sandboxes: tuple[Sandbox, ...] = ()
    """Newest first."""
    containers: tuple[Container, ...] = ()
    """Newest first."""

    @property
    def sandbox(self) -> Sandbox | None:
        """The newest sandbox, ready or not."""
        return self.sandboxes[0] if self.sandboxes else None

    @property
    def ready_sandbox(self) -> Sandbox | None:
        """The sandbox to start containers in: the newest, if it is ready."""
        newest = self.sandbox
        return newest if newest is not None and newest.ready else None

    def of(self, name: str) -> Iterator[Container]:
        """The containers called `name`, newest first."""
        return (container for container in self.containers if container.name == name)

    def newest(self, name: str) -> Container | None:
        return next(self.of(name), None)

    def previous(self, name: str) -> Container | None:
        """The one before the newest: what `kubectl logs --previous` and `lastState` are about."""
        return next((c for index, c in enumerate(self.of(name)) if index == 1), None)

    def by_id(self, container_id: str) -> Container | None:
        return next((c for c in self.containers if c.id == container_id), None)

    @property
    def running(self) -> tuple[Container, ...]:
        return tuple(container for container in self.containers if container.running)


def order(
    sandboxes: list[Sandbox], containers: list[Container]
) -> tuple[tuple[Sandbox, ...], tuple[Container, ...]]:
    """Sort both newest first, as `PodRuntime` wants them."""
    return (
        tuple(sorted(sandboxes, key=lambda s: (s.attempt, s.created_at), reverse=True)),
        tuple(sorted(containers, key=lambda c: (c.attempt, c.created_at), reverse=True)),
    )
