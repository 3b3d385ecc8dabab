"""What the CRI server remembers of sandboxes and containers. Pure.

Whether a container runs is not here: the launcher knows that.
"""

from dataclasses import dataclass

from podling.node.cripb import api_pb2 as cri


@dataclass(slots=True)
class SandboxRecord:
    """A pod's frame."""

    id: str
    config: cri.PodSandboxConfig
    created_at: int
    """Nanoseconds since the epoch."""
    addresses: tuple[str, ...]
    """The main one first; empty in the host's network and after the stop."""
    ready: bool = True
    """False from the stop on."""

    @property
    def host_network(self) -> bool:
        options = self.config.linux.security_context.namespace_options
        return options.network == cri.NODE

    @property
    def has_resolver(self) -> bool:
        """Whether it has a resolver file of its own: one with nothing in it finds no name."""
        dns = self.config.dns_config
        return bool(dns.servers or dns.searches or dns.options)


@dataclass(slots=True)
class ContainerRecord:
    """A container as it was created."""

    id: str
    sandbox_id: str
    config: cri.ContainerConfig
    created_at: int
    argv: tuple[str, ...]
    log_path: str
    """Absolute; empty: output is thrown away."""
    started: bool = False
    """Whether the launcher was asked to start it."""
