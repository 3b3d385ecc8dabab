"""What is known about the node as a whole; filled in while the kubelet starts. Pure."""

from dataclasses import dataclass, field
from typing import Protocol

from podling.kube.meta import Object
from podling.node.kubelet.containers.container_config import DnsDefaults


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

    @property
    def mounts_files(self) -> bool:
        """Whether a pod can be given files of its own, such as /etc/resolv.conf.

        Podling's runtime says so where it cannot; other runtimes always can.
        """
        return bool(self.capabilities.get("mount_namespace") != "none")


class Recorder(Protocol):
    """Where Events go (`podling.kube.event_recorder.EventRecorder`)."""

    def event(
        self, obj: Object, type_: str, reason: str, message: str, *, field_path: str = ""
    ) -> None: ...
