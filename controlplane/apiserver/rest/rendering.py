"""Objects, lists and watch events in the form that a client asked for. Pure.

Forms are plain objects, Tables (what `kubectl get` prints) and PartialObjectMetadata. A list is
made in pieces, each the work of a few milliseconds, so that others get their turn in between.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import orjson

from podling.aiokit.clock import WallClock
from podling.controlplane.apiserver import tables
from podling.controlplane.apiserver.request.negotiation import Accepted, Shape
from podling.controlplane.apiserver.storage.encoded import Encoded
from podling.controlplane.apiserver.watch_cache.object_lists import Page
from podling.controlplane.apiserver.watch_cache.watchers import WatchFormat
from podling.kube import watch_frames
from podling.kube.errors import ApiError
from podling.kube.kinds import Kind
from podling.kube.meta import Object

PLAIN_PIECE = 128 << 10
"""Bytes in one piece of a plain list, whose objects are only joined."""
SHAPED_PIECE = 50
"""Objects in one piece of a list that have to be decoded."""
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class Form:
    """What a request asked for."""

    kind: Kind
    accepted: Accepted
    include_object: str
    """What of the object a Table's rows carry."""
    clock: WallClock
    """Ages in Tables are counted from its now."""

    @property
    def api_version(self) -> str:
        return f"meta.k8s.io/{self.accepted.version or 'v1'}"


def render_object(form: Form, value: bytes) -> bytes:
    """One object, which comes as JSON."""
    if form.accepted.shape is Shape.PLAIN:
        return value
    obj = orjson.loads(value)
    if form.accepted.shape is Shape.TABLE:
        table = _table(form, [obj], with_columns=True)
        table["metadata"] = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return orjson.dumps(table)
    return orjson.dumps(tables.partial_object(obj, form.api_version))


def render_list(form: Form, page: Page) -> Iterator[bytes]:
    """A list, piece by piece."""
    metadata: Object = {"resourceVersion": str(page.revision)}
    if page.continue_token:
        metadata["continue"] = page.continue_token
    if page.remaining:
        metadata["remainingItemCount"] = page.remaining
    match form.accepted.shape:
        case Shape.TABLE:
            empty = {**_table(form, [], with_columns=True), "metadata": metadata}
            pieces = _table_rows(form, page.entries)
        case Shape.PLAIN:
            empty = _list_head(form.kind.list_kind, form.kind.api_version, metadata)
            pieces = _plain_items(page.entries)
        case _:
            empty = _list_head("PartialObjectMetadataList", form.api_version, metadata)
            pieces = _partial_items(form, page.entries)
    # The list of objects comes last, so that it can be left open: `…,"items":[` and `]}`.
    yield orjson.dumps(empty).removesuffix(b"]}")
    comma = b""
    for piece in pieces:
        yield comma + piece
        comma = b","
    yield b"]}"


def _list_head(kind: str, api_version: str, metadata: Object) -> Object:
    return {"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": []}


def _plain_items(entries: Sequence[Encoded]) -> Iterator[bytes]:
    piece: list[bytes] = []
    size = 0
    for entry in entries:
        piece.append(entry.value)
        size += len(entry.value)
        if size >= PLAIN_PIECE:
            yield b",".join(piece)
            piece, size = [], 0
    if piece:
        yield b",".join(piece)


def _partial_items(form: Form, entries: Sequence[Encoded]) -> Iterator[bytes]:
    for chunk in _chunks(entries):
        partial = [tables.partial_object(entry.decode(), form.api_version) for entry in chunk]
        yield orjson.dumps(partial)[1:-1]


def _table_rows(form: Form, entries: Sequence[Encoded]) -> Iterator[bytes]:
    for chunk in _chunks(entries):
        rows = _table(form, [entry.decode() for entry in chunk], with_columns=False)["rows"]
        yield orjson.dumps(rows)[1:-1]


def _chunks(entries: Sequence[Encoded]) -> Iterator[list[Encoded]]:
    iterator = iter(entries)
    while chunk := list(islice(iterator, SHAPED_PIECE)):
        yield chunk


def _table(form: Form, objects: list[Object], *, with_columns: bool) -> Object:
    return tables.table(
        form.kind,
        objects,
        form.include_object,
        form.clock(),
        with_columns,
        form.api_version,
    )


def watch_format(form: Form) -> WatchFormat:
    """How a watch that asked for this form writes its events."""
    return _Frames(form, with_columns=form.accepted.shape is Shape.TABLE)


@dataclass(frozen=True, slots=True)
class _Frames:
    """Implements WatchFormat."""

    form: Form
    with_columns: bool

    @property
    def key(self) -> Hashable:
        accepted = self.form.accepted
        return accepted.shape, accepted.version, self.form.include_object, self.with_columns

    @property
    def later(self) -> WatchFormat:
        return replace(self, with_columns=False) if self.with_columns else self

    def frame(self, change: str, value: bytes) -> bytes:
        form = self.form
        if form.accepted.shape is Shape.PLAIN:
            return watch_frames.encode(change, value)
        obj = orjson.loads(value)
        if form.accepted.shape is Shape.TABLE:
            shown = _table(form, [obj], with_columns=self.with_columns)
            shown["metadata"] = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        else:
            shown = tables.partial_object(obj, form.api_version)
        return watch_frames.encode(change, orjson.dumps(shown))

    def bookmark(self, revision: int, *, end_of_state: bool) -> bytes:
        metadata: Object = {"resourceVersion": str(revision)}
        if end_of_state:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        kind, api_version = self.form.kind.kind, self.form.kind.api_version
        if self.form.accepted.shape is not Shape.PLAIN:
            kind, api_version = self.form.accepted.shape.value, self.form.api_version
        # Typed clients decode a bookmark as the object they watch, so it has that kind.
        obj: Object = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
        if self.form.accepted.shape is Shape.TABLE:
            obj |= {"columnDefinitions": [], "rows": []}
        return watch_frames.encode(watch_frames.BOOKMARK, orjson.dumps(obj))

    def error(self, error: ApiError) -> bytes:
        return watch_frames.encode(watch_frames.ERROR, orjson.dumps(error.to_status()))
