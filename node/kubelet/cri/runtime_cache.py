"""The newest that is known of every pod in the runtime. Pure.

It is told by events, by the answers to our own calls and by lists, which may arrive out of order;
every snapshot says when it was taken, and of two the later one counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from podling.node.kubelet.planning.runtime_status import Container, PodRuntime, Sandbox, order

REMEMBERED = 1000
"""Removed sandboxes whose late events are still recognised as late."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One sandbox and its containers at one moment."""

    uid: str
    namespace: str
    name: str
    sandbox: Sandbox
    containers: tuple[Container, ...]
    taken_at: int
    """Nanoseconds since the epoch, by the runtime's clock; compared with other snapshots only."""


@dataclass(slots=True)
class RuntimeCache:
    """Snapshots by sandbox id, put together pod by pod on request."""

    _snapshots: dict[str, Snapshot] = field(default_factory=dict)
    _by_pod: dict[str, set[str]] = field(default_factory=dict)
    _removed: dict[str, None] = field(default_factory=dict)

    def uids(self) -> list[str]:
        return list(self._by_pod)

    def pod(self, uid: str) -> PodRuntime | None:
        """All that the runtime holds of one pod; None if nothing."""
        ids = self._by_pod.get(uid)
        if not ids:
            return None
        snapshots = [self._snapshots[sandbox_id] for sandbox_id in ids]
        sandboxes, containers = order(
            [snapshot.sandbox for snapshot in snapshots],
            [container for snapshot in snapshots for container in snapshot.containers],
        )
        first = snapshots[0]
        return PodRuntime(uid, first.namespace, first.name, sandboxes, containers)

    def apply(self, snapshot: Snapshot) -> bool:
        """Take a snapshot; whether it says anything new."""
        sandbox_id = snapshot.sandbox.id
        if sandbox_id in self._removed:
            return False
        old = self._snapshots.get(sandbox_id)
        if old is not None and snapshot.taken_at < old.taken_at:
            return False
        self._snapshots[sandbox_id] = snapshot
        self._by_pod.setdefault(snapshot.uid, set()).add(sandbox_id)
        return (
            old is None
            or old.sandbox != snapshot.sandbox
            or set(old.containers) != set(snapshot.containers)
        )

    def remove(self, sandbox_id: str) -> str | None:
        """The runtime forgot a sandbox; returns the uid of its pod, if it was known."""
        self._removed[sandbox_id] = None
        while len(self._removed) > REMEMBERED:
            del self._removed[next(iter(self._removed))]
        snapshot = self._snapshots.pop(sandbox_id, None)
        if snapshot is None:
            return None
        ids = self._by_pod[snapshot.uid]
        ids.discard(sandbox_id)
        if not ids:
            del self._by_pod[snapshot.uid]
        return snapshot.uid

    def replace(self, snapshots: Iterable[Snapshot], listed_at: int) -> set[str]:
        """Take a whole list, begun at `listed_at`; returns the uids of pods that changed.

        A sandbox missing from it is gone, unless it was made after the list was begun.
        """
        changed: set[str] = set()
        listed: set[str] = set()
        for snapshot in snapshots:
            listed.add(snapshot.sandbox.id)
            if self.apply(snapshot):
                changed.add(snapshot.uid)
        for sandbox_id, snapshot in list(self._snapshots.items()):
            if sandbox_id not in listed and snapshot.taken_at < listed_at:
                self.remove(sandbox_id)
                changed.add(snapshot.uid)
        return changed
