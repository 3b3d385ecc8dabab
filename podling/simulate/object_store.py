"""The objects behind the simulated API server: one revision counter, a history, no pipeline."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from podling.kube import field_selectors, meta, watch_frames
from podling.kube.errors import Expired, NotFound
from podling.kube.field_selectors import FieldSelector
from podling.kube.kinds import Kind
from podling.kube.label_selectors import LabelSelector
from podling.kube.meta import Object


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects of a kind a list or a watch is about."""

    kind: Kind
    namespace: str
    labels: LabelSelector
    fields: FieldSelector

    def holds(self, obj: Object | None) -> bool:
        return (
            obj is not None
            and self.namespace in ("", meta.namespace(obj))
            and self.labels.matches(meta.labels(obj))
            and self.fields.matches(field_selectors.values(self.kind, obj))
        )


class Change(NamedTuple):
    """One write."""

    revision: int
    kind: Kind
    old: Object | None
    new: Object | None
    """None: deleted."""

    def line(self, scope: Scope) -> bytes | None:
        """What a watcher of `scope` is told; an object that leaves the scope is deleted for it."""
        if self.kind != scope.kind:
            return None
        before, after = scope.holds(self.old), scope.holds(self.new)
        if after:
            type_ = watch_frames.MODIFIED if before else watch_frames.ADDED
            return watch_frames.encode(type_, orjson.dumps(self.new))
        if not before or self.old is None:
            return None
        metadata = {**self.old["metadata"], "resourceVersion": str(self.revision)}
        return watch_frames.encode(
            watch_frames.DELETED, orjson.dumps({**self.old, "metadata": metadata})
        )


class ObjectStore:
    """Objects handed in and out are never changed afterwards, by either side."""

    def __init__(self, history: int) -> None:
        """`history`: writes that a watch may look back."""
        self.revision = 1
        self._compacted = 1
        self._history: deque[Change] = deque()
        self._keep = history
        self._objects: dict[tuple[Kind, str], Object] = {}
        self._listeners: set[Callable[[Change], None]] = set()

    def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return self._objects.get((kind, meta.join_key(namespace, name)))

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Raises NotFound."""
        obj = self.find(kind, namespace, name)
        if obj is None:
            raise NotFound(kind=kind, name=name)
        return obj

    def list(self, scope: Scope) -> list[Object]:
        """In order of keys."""
        return [
            obj
            for (kind, _), obj in sorted(self._objects.items(), key=lambda item: item[0][1])
            if kind == scope.kind and scope.holds(obj)
        ]

    def put(self, kind: Kind, obj: Object) -> Object:
        """Write at the next revision, which is set in the object that is returned."""
        self.revision += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self.revision)}
        new = {**obj, "metadata": metadata}
        key = (kind, meta.key(new))
        old = self._objects.get(key)
        self._objects[key] = new
        self._record(Change(self.revision, kind, old, new))
        return new

    def remove(self, kind: Kind, obj: Object) -> None:
        self.revision += 1
        old = self._objects.pop((kind, meta.key(obj)))
        self._record(Change(self.revision, kind, old, None))

    def since(self, revision: int) -> Iterator[Change]:
        """All writes after `revision`. Raises Expired."""
        if revision < self._compacted:
            raise Expired(f"too old resource version: {revision} ({self._compacted})")
        return (change for change in tuple(self._history) if change.revision > revision)

    def compact(self) -> None:
        """Forget all history up to now."""
        self._history.clear()
        self._compacted = self.revision

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Tell `listener` every write from now on; returns what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _record(self, change: Change) -> None:
        self._history.append(change)
        while len(self._history) > self._keep:
            self._compacted = self._history.popleft().revision
        for listener in tuple(self._listeners):
            listener(change)
