"""Everything known about one pod at one moment: what plan and status are made from. Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from podling.kube import meta
from podling.kube.meta import Object
from podling.node.kubelet.planning import pod_spec
from podling.node.kubelet.planning.restart_policy import RestartHistory
from podling.node.kubelet.planning.runtime_status import Container, PodRuntime


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run: `state.waiting` of a container status."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """A container (or the sandbox, under the empty name) that failed to start, until its retry."""

    until: float
    """Seconds since the epoch."""
    waiting: Waiting


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes of one running container say; without probes all is well."""

    started: bool = True
    """The startup probe has succeeded, or there is none."""
    ready: bool = True
    failed: str = ""
    """`liveness` or `startup`: the probe that condemned the container; empty: none."""


class StopReason(enum.Enum):
    """Why a pod is being stopped, whatever its containers do."""

    DELETED = "deleted"
    """The API server wants it gone, or does not know it (any more)."""
    DEADLINE = "deadline"
    """spec.activeDeadlineSeconds has passed."""
    TERMINAL = "terminal"
    """The API already says Succeeded or Failed: nothing may run (again)."""


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod: what is wanted, what is there."""

    pod: Object
    runtime: PodRuntime
    history: RestartHistory
    """Read only here."""
    health: Mapping[str, Health] = field(default_factory=dict)
    """By container id; containers that do not run have none."""
    holds: Mapping[str, Hold] = field(default_factory=dict)
    """By container name."""
    killing: frozenset[str] = frozenset()
    """Ids of containers that are being stopped right now."""
    gone: bool = False
    """The API has no such pod (any more); `pod` is the last that was known."""
    deadline_passed: bool = False

    @property
    def stop_reason(self) -> StopReason | None:
        if self.gone or meta.is_deleting(self.pod):
            return StopReason.DELETED
        if pod_spec.is_terminal(self.pod):
            return StopReason.TERMINAL
        return StopReason.DEADLINE if self.deadline_passed else None

    def health_of(self, container: Container) -> Health:
        return self.health.get(container.id, UNKNOWN_HEALTH)

    def recorded(self, name: str) -> Object | None:
        """The container status that the API has, if it speaks of a container that ran or runs.

        A runtime that holds no such container has lost it: the machine was switched off.
        """
        status = self.pod.get("status", {})
        for field_name in ("containerStatuses", "initContainerStatuses"):
            for entry in status.get(field_name) or []:
                if entry["name"] == name and entry.get("containerID"):
                    found: Object = entry
                    return found
        return None


UNKNOWN_HEALTH = Health(started=False, ready=False)
"""Of a container whose probes have not been set up yet."""
