"""Rules that concern more than one object, between decoding and storing.

A plug-in may change the object (`mutate`) and may refuse it (`validate`); it runs again whenever
the object was read anew. Plug-ins run in the order in which they are given. Source: the Kubernetes
document "Admission control in Kubernetes".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from podling.controlplane.apiserver.request.authn import User
from podling.kube.kinds import Kind
from podling.kube.meta import Object

CREATE, UPDATE, DELETE = "CREATE", "UPDATE", "DELETE"


@dataclass(frozen=True, slots=True)
class Admission:
    """One write that asks to be let in."""

    operation: str
    kind: Kind
    namespace: str
    name: str
    """Empty while a generated name has not been drawn."""
    obj: Object | None
    """The new state, for plug-ins to change; None for a deletion."""
    old: Object | None
    """The state before; None for a creation."""
    user: User
    subresource: str = ""
    dry_run: bool = False


class AdmissionPlugin(Protocol):
    """One rule. Both raise an ApiError to refuse."""

    async def mutate(self, admission: Admission) -> None:
        """Change `admission.obj` in place."""

    async def validate(self, admission: Admission) -> None:
        """Look at the final state."""


class AdmissionChain:
    """All rules, as one."""

    def __init__(self, plugins: Sequence[AdmissionPlugin]) -> None:
        self._plugins = plugins

    async def mutate(self, admission: Admission) -> None:
        for plugin in self._plugins:
            await plugin.mutate(admission)

    async def validate(self, admission: Admission) -> None:
        for plugin in self._plugins:
            await plugin.validate(admission)
