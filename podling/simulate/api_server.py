"""A small API server in memory, behind `Transport`: no sockets, no store, no admission.

It keeps the promises that clients, informers and leader election live by (one revision counter,
conditional writes, watches that resume without a gap, Expired when history is gone, status beside
spec, finalizers and grace) for the built-in kinds. It does no defaulting and no validation; the
real server does, and passes the same contract suite.

Faults are verbs: `break_watches`, `compact`, `down`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

import orjson

from podling.aiokit.clock import WallClock
from podling.aiokit.ids import IdSource
from podling.kube import (
    errors,
    field_selectors,
    json_patch,
    kinds,
    label_selectors,
    merge_patch,
    meta,
    schema,
    strategic_merge,
    timestamps,
    watch_frames,
)
from podling.kube.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from podling.kube.errors import ApiError
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from podling.kube.transport import HttpRequest, HttpResponse, HttpStream, TransportError
from podling.simulate.object_store import Change, ObjectStore, Scope

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
"""There from the beginning, as in any cluster."""

HISTORY = 10_000
"""Writes that a watch may look back."""

JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @classmethod
    def parse(cls, path: str) -> "Target":
        """Raises NotFound for a path that leads nowhere."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        group = parts.pop(1) if parts[0] == "apis" and len(parts) > 1 else ""
        version, *rest = parts[1:] or [""]
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        kind = kinds.find(group, version, rest[0]) if rest else None
        if kind is None or len(rest) > 3:
            raise errors.NotFound()
        return cls(kind, namespace, *rest[1:])


class MemoryApiServer:
    """A `Transport` to itself: hand it to any number of clients."""

    def __init__(self, wall_clock: WallClock, ids: IdSource, *, history: int = HISTORY) -> None:
        self._clock = wall_clock
        self._ids = ids
        self._store = ObjectStore(history)
        self._watches: set[_Watch] = set()
        #: Continue token -> the items still to come and the revision of the whole list.
        self._pages: dict[str, tuple[list[Object], int]] = {}
        self.lists = 0
        """How many lists began, for whoever counts what clients cost."""
        self.down = False
        """Answers nobody, as if nothing listened; watches are to be broken beside."""
        for name in NAMESPACES:
            self._create(
                Target(kinds.NAMESPACE),
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
            )

    @property
    def revision(self) -> int:
        return self._store.revision

    @property
    def watches(self) -> int:
        """How many are open."""
        return len(self._watches)

    def break_watches(self) -> None:
        """Every open watch loses its connection."""
        for watch in tuple(self._watches):
            watch.end(TransportError("connection lost"))

    def end_watches(self) -> None:
        """Every open watch ends in good order, as by its time-out."""
        for watch in tuple(self._watches):
            watch.end(None)

    def bookmark(self) -> None:
        """Tell every watcher the current revision."""
        for watch in tuple(self._watches):
            watch.bookmark(self._store.revision)

    def compact(self) -> None:
        """Forget history: no watch can start from before now."""
        self._store.compact()

    # The transport.

    async def request(self, request: HttpRequest, *, timeout: float) -> HttpResponse:
        await self._arrive()
        status, body = self._answer(request)
        return HttpResponse(status, JSON_HEADERS, orjson.dumps(body))

    async def stream(self, request: HttpRequest, *, timeout: float) -> HttpStream:
        await self._arrive()
        watch = _Watch(self._watches)
        try:
            self._watch(watch, Target.parse(request.path), request.query)
        except ApiError as error:
            watch.status = error.code
            watch.tell(orjson.dumps(error.to_status()))
            watch.end(None)
        return watch

    async def close(self) -> None:
        """Nothing to give up."""

    async def _arrive(self) -> None:
        # A real request never returns within the same turn of the loop.
        await asyncio.sleep(0)
        if self.down:
            raise TransportError("connection refused")

    def _answer(self, request: HttpRequest) -> tuple[int, Object]:
        try:
            target = Target.parse(request.path)
            body = orjson.loads(request.body) if request.body else {}
            match request.method:
                case "GET" if target.name:
                    return 200, self._store.get(target.kind, target.namespace, target.name)
                case "GET":
                    return 200, self._list(target, request.query)
                case "POST":
                    return 201, self._create(target, body)
                case "PUT":
                    return 200, self._update(target, body)
                case "PATCH":
                    type_ = request.headers.get("Content-Type", "")
                    return 200, self._patch(target, body, type_)
                case "DELETE":
                    return 200, self._delete(target, body)
            raise errors.MethodNotAllowed(verb=request.method, kind=target.kind)
        except ApiError as error:
            return error.code, error.to_status()
        except ValueError as error:
            return 400, errors.BadRequest(str(error)).to_status()

    # Reading.

    def _list(self, target: Target, query: Mapping[str, str]) -> Object:
        if token := query.get("continue"):
            if token not in self._pages:
                raise errors.Expired("The provided continue parameter is too old.")
            items, revision = self._pages.pop(token)
        else:
            self.lists += 1
            items, revision = self._store.list(_scope(target, query)), self._store.revision
        metadata: Object = {"resourceVersion": str(revision)}
        limit = int(query.get("limit") or 0)
        if limit and len(items) > limit:
            token = f"{revision}.{self._ids()}"
            self._pages[token] = (items[limit:], revision)
            metadata |= {"continue": token, "remainingItemCount": len(items) - limit}
            items = items[:limit]
        kind = target.kind
        return {
            "apiVersion": kind.api_version,
            "kind": kind.list_kind,
            "metadata": metadata,
            "items": items,
        }

    def _watch(self, watch: "_Watch", target: Target, query: Mapping[str, str]) -> None:
        if query.get("sendInitialEvents"):
            raise errors.BadRequest("sendInitialEvents is not supported, list first")
        scope = _scope(target, query)
        start = query.get("resourceVersion") or "0"
        watch.start_after(int(start))
        if start == "0":
            for obj in self._store.list(scope):
                watch.tell(watch_frames.encode(watch_frames.ADDED, orjson.dumps(obj)))
        else:
            for change in self._store.since(int(start)):
                watch.see(change, scope)
        watch.follow(self._store.listen(lambda change: watch.see(change, scope)))
        if seconds := int(query.get("timeoutSeconds") or 0):
            watch.end_after(seconds)

    # Writing.

    def _create(self, target: Target, body: Object) -> Object:
        if target.subresource == "binding":
            return self._bind(target, body)
        kind = target.kind
        metadata = dict(body.get("metadata") or {})
        if kind.namespaced:
            self._store.get(kinds.NAMESPACE, "", target.namespace)
            metadata["namespace"] = target.namespace
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + self._ids()[-5:]
        name = metadata.get("name", "")
        if self._store.find(kind, target.namespace, name) is not None:
            raise errors.AlreadyExists(kind=kind, name=name)
        metadata |= {
            "uid": self._ids(),
            "creationTimestamp": timestamps.format_time(self._clock()),
            "generation": 1,
        }
        obj = {"apiVersion": kind.api_version, "kind": kind.kind} | body | {"metadata": metadata}
        if kind == kinds.POD:
            obj["status"] = {"phase": "Pending"}
        elif kind.subresource("status") is not None and kind != kinds.NODE:
            obj.pop("status", None)
        return self._store.put(kind, obj)

    def _bind(self, target: Target, body: Object) -> Object:
        pod = self._store.get(target.kind, target.namespace, target.name)
        if meta.uid(body) not in ("", meta.uid(pod)):
            raise errors.Conflict(kind=target.kind, name=target.name, message="another uid")
        bound_to = pod["spec"].get("nodeName")
        if bound_to:
            raise errors.Conflict(
                kind=target.kind,
                name=target.name,
                message=f'pod {target.name} is already assigned to node "{bound_to}"',
            )
        spec = {**pod["spec"], "nodeName": body["target"]["name"]}
        scheduled = {"type": "PodScheduled", "status": "True"}
        status = {**pod.get("status", {}), "conditions": [scheduled]}
        self._store.put(target.kind, {**pod, "spec": spec, "status": status})
        return {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success"}

    def _update(self, target: Target, body: Object) -> Object:
        old = self._store.get(target.kind, target.namespace, target.name)
        return self._write(target, old, body)

    def _patch(self, target: Target, body: Any, content_type: str) -> Object:
        old = self._store.get(target.kind, target.namespace, target.name)
        apply = _PATCHES.get(content_type)
        if apply is None:
            raise errors.UnsupportedMediaType(accepted=_PATCHES)
        return self._write(target, old, apply(old, body, target.kind))

    def _write(self, target: Target, old: Object, new: Object) -> Object:
        """The one way by which an object changes."""
        metadata = new.get("metadata") or {}
        for field in ("resourceVersion", "uid"):
            if metadata.get(field, old["metadata"][field]) != old["metadata"][field]:
                raise errors.Conflict(kind=target.kind, name=target.name)
        if target.subresource == "status":
            new = {**old, "status": new.get("status", {})}
        elif target.kind.subresource("status") is not None:
            new = {**new, "status": old.get("status", {})}
        kept = (
            "resourceVersion",
            "uid",
            "creationTimestamp",
            "generation",
            "namespace",
            "name",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        )
        metadata = {**(new.get("metadata") or {})}
        metadata |= {field: old["metadata"][field] for field in kept if field in old["metadata"]}
        new = {**new, "metadata": metadata}
        if new == old:
            return old
        if new.get("spec") != old.get("spec"):
            metadata["generation"] += 1
        new = self._store.put(target.kind, new)
        if meta.is_deleting(new) and not meta.finalizers(new) and not _has_grace(new):
            self._store.remove(target.kind, new)
        return new

    def _delete(self, target: Target, options: Object) -> Object:
        kind = target.kind
        obj = self._store.get(kind, target.namespace, target.name)
        for field, wanted in (options.get("preconditions") or {}).items():
            if obj["metadata"].get(field) != wanted:
                raise errors.Conflict(
                    kind=kind,
                    name=target.name,
                    message=f"Precondition failed: {field} in precondition: {wanted}, "
                    f"{field} in object meta: {obj['metadata'].get(field)}",
                )
        grace = _grace(kind, obj, options.get("gracePeriodSeconds"))
        if not meta.finalizers(obj) and not grace:
            self._store.remove(kind, obj)
            return obj
        now = timestamps.format_time(self._clock() + grace)
        metadata = {"deletionTimestamp": now, **obj["metadata"]}
        metadata["deletionGracePeriodSeconds"] = grace
        return self._store.put(kind, {**obj, "metadata": metadata})


class _Watch:
    """One watcher's stream."""

    def __init__(self, watches: "set[_Watch]") -> None:
        self.status = 200
        self.headers = JSON_HEADERS
        self._watches = watches
        self._revision = 0
        self._pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self._ended = False
        self._stop: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None

    def start_after(self, revision: int) -> None:
        self._revision = revision

    def follow(self, stop: Callable[[], None]) -> None:
        self._watches.add(self)
        self._stop = stop

    def see(self, change: Change, scope: Scope) -> None:
        line = change.line(scope)
        if line is not None and change.revision > self._revision:
            self.tell(line)

    def bookmark(self, revision: int) -> None:
        obj = {"metadata": {"resourceVersion": str(revision)}}
        self.tell(watch_frames.encode(watch_frames.BOOKMARK, orjson.dumps(obj)))

    def tell(self, piece: bytes) -> None:
        self._pieces.put_nowait(piece)

    def end_after(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self.end, None)

    def end(self, error: TransportError | None) -> None:
        self._watches.discard(self)
        self._stop()
        if self._timer is not None:
            self._timer.cancel()
        if not self._ended:
            self._ended = True
            self._pieces.put_nowait(error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._pieces.get()
        if isinstance(piece, bytes):
            return piece
        self._pieces.put_nowait(piece)
        if piece is None:
            raise StopAsyncIteration
        raise piece

    async def close(self) -> None:
        self.end(None)


def _apply_json_patch(obj: Object, patch: Any, kind: Kind) -> Object:
    return json_patch.apply(obj, patch)


def _apply_merge_patch(obj: Object, patch: Any, kind: Kind) -> Object:
    return merge_patch.apply(obj, patch)


def _apply_strategic_patch(obj: Object, patch: Any, kind: Kind) -> Object:
    return strategic_merge.apply(obj, patch, schema.type_of(kind))


_PATCHES: Mapping[str, Callable[[Object, Any, Kind], Object]] = {
    JSON_PATCH: _apply_json_patch,
    MERGE_PATCH: _apply_merge_patch,
    STRATEGIC_MERGE_PATCH: _apply_strategic_patch,
}


def _scope(target: Target, query: Mapping[str, str]) -> Scope:
    """Raises BadRequest or ValueError for selectors that cannot be understood."""
    return Scope(
        target.kind,
        target.namespace,
        label_selectors.parse(query.get("labelSelector", "")),
        field_selectors.parse_for(target.kind, query.get("fieldSelector", "")),
    )


def _grace(kind: Kind, obj: Object, asked: int | None) -> int:
    """Seconds a deleted object lives on: only a pod that was given to a node, and only shorter."""
    if kind != kinds.POD or not obj["spec"].get("nodeName"):
        return 0
    if asked is None:
        asked = obj["spec"].get("terminationGracePeriodSeconds", 30)
    already = obj["metadata"].get("deletionGracePeriodSeconds")
    return asked if already is None else min(asked, already)


def _has_grace(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionGracePeriodSeconds"))
