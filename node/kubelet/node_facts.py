"""What is known about the node as a whole; filled in while the kubelet starts. Pure."""

from dataclasses import dataclass, field
from typing import Protocol

from podling.kube.meta import Object
from podling.node.kubelet.container_config import DnsDefaults


@dataclass(slots=True)
class NodeFacts:
    """One mutable record that all workers read; every field has its value before the first pod."""

    runtime_name: str = ""
    """Begins every container id."""
    host_ips: tuple[str, ...] = ()
    """The node's addresses, the main one first."""
    dns: DnsDefaults = field(default_factory=lambda: DnsDefaults(()))
    allocatable: dict[str, str] = field(default_factory=dict)
    capabilities: Object = field(default_factory=dict)
    """What the runtime can do for a pod."""


class Recorder(Protocol):
    """Where Events go (`podling.kube.event_recorder.EventRecorder`)."""

    def event(
        self,
        obj: Object,
        type: str,  # noqa: A002
        reason: str,
        message: str,
    ) -> None: ...
