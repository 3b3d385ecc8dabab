"""Who owns whom, as far as the caches show. Pure.

deployment d (uid 1)  <-  replica set r (uid 2)  <-  pods p, q (uid 3, 4)

r goes     p and q are to be looked at: their owner is absent
d goes     r is to be looked at; when r is deleted, p and q follow
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podling.kube import meta
from podling.kube.kinds import Kind
from podling.kube.meta import Object

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


@dataclass(frozen=True, slots=True)
class Node:
    """What is remembered of an object that owns or is owned."""

    kind: Kind
    key: str
    uid: str
    owners: tuple[str, ...]
    """Uids."""
    blocks: frozenset[str]
    """Uids of owners whose foreground deletion waits for this object."""
    deleting: bool
    finalizers: frozenset[str]

    @property
    def is_deleting_dependents(self) -> bool:
        return self.deleting and FOREGROUND in self.finalizers


class OwnerGraph:
    """Objects by uid, and the dependents of each uid, whether the owner was seen or not."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._uids: dict[tuple[Kind, str], str] = {}
        self._dependents: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, uid: str) -> Node | None:
        return self._nodes.get(uid)

    def dependents(self, uid: str) -> Iterator[Node]:
        """What names this uid as an owner, in order of uid."""
        for dependent in sorted(self._dependents.get(uid, ())):
            yield self._nodes[dependent]

    def observe(self, kind: Kind, key: str, obj: Mapping[str, Any] | None) -> set[str]:
        """The cache shows this now (None: gone); returns the uids that are to be looked at."""
        before = self._nodes.get(self._uids.get((kind, key), ""))
        affected: set[str] = set()
        if before is not None and (obj is None or meta.uid(obj) != before.uid):
            self._drop(before)
            affected |= self._dependents.get(before.uid, set())
            # An owner that waits for its dependents has one less to wait for.
            affected |= set(before.owners)
            before = None
        if obj is not None:
            node = _node(kind, key, obj)
            self._put(node, before)
            affected |= self._concerned(node, before)
        return {uid for uid in affected if uid in self._nodes}

    def _concerned(self, node: Node, before: Node | None) -> set[str]:
        concerned = set()
        if node.owners or (node.deleting and {ORPHAN, FOREGROUND} & node.finalizers):
            concerned.add(node.uid)
        if before is not None and before.owners != node.owners:
            concerned |= set(before.owners)
        if node.is_deleting_dependents:
            concerned |= self._dependents.get(node.uid, set())
        return concerned

    def _put(self, node: Node, before: Node | None) -> None:
        if before is not None:
            self._unlink(before)
        self._nodes[node.uid] = node
        self._uids[node.kind, node.key] = node.uid
        for owner in node.owners:
            self._dependents.setdefault(owner, set()).add(node.uid)

    def _drop(self, node: Node) -> None:
        self._unlink(node)
        del self._nodes[node.uid]
        del self._uids[node.kind, node.key]

    def _unlink(self, node: Node) -> None:
        for owner in node.owners:
            siblings = self._dependents.get(owner)
            if siblings is not None:
                siblings.discard(node.uid)
                if not siblings:
                    del self._dependents[owner]


def _node(kind: Kind, key: str, obj: Mapping[str, Any]) -> Node:
    references: list[Object] = meta.owner_references(obj)
    return Node(
        kind=kind,
        key=key,
        uid=meta.uid(obj),
        owners=tuple(reference.get("uid", "") for reference in references),
        blocks=frozenset(
            reference.get("uid", "")
            for reference in references
            if reference.get("blockOwnerDeletion")
        ),
        deleting=meta.is_deleting(obj),
        finalizers=frozenset(meta.finalizers(obj)),
    )
