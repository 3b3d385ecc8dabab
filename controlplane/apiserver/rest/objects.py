"""The verbs of a resource: what a request asks, done by the registry, written as it was asked."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from podling.aiokit.clock import WallClock
from podling.controlplane.apiserver.registry import patching
from podling.controlplane.apiserver.registry.collection_deletion import delete_all
from podling.controlplane.apiserver.registry.registry import Call, Change, Deleted, Registry
from podling.controlplane.apiserver.request import bodies, negotiation
from podling.controlplane.apiserver.request.messages import (
    ApiRequest,
    ApiResponse,
    Sink,
    json_response,
)
from podling.controlplane.apiserver.request.options import (
    DeleteOptions,
    WriteOptions,
    delete_options,
    list_options,
    write_options,
)
from podling.controlplane.apiserver.request.routes import Route
from podling.controlplane.apiserver.request.structure import accept
from podling.controlplane.apiserver.rest import rendering
from podling.controlplane.apiserver.rest.rendering import Form
from podling.controlplane.apiserver.storage import encoded
from podling.controlplane.apiserver.watch_cache.object_lists import ObjectLists
from podling.controlplane.apiserver.watch_cache.watch_streams import WatchStreams
from podling.kube import errors, meta, schema
from podling.kube.kinds import POD, SERVICE, SERVICE_ACCOUNT, Kind
from podling.kube.meta import Object

SLICE = 0.005
"""Seconds of work on one answer after which others get their turn."""
PIECE = 128 << 10
"""Bytes of a list above which it is written piece by piece."""
SHOWN_WHEN_GONE = frozenset({POD, SERVICE, SERVICE_ACCOUNT})
"""Kinds whose deletion is answered with the object; the others' with a Status."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for objects of a kind."""

    request: ApiRequest
    route: Route
    kind: Kind
    form: Form

    @property
    def namespace(self) -> str:
        return self.route.namespace

    @property
    def name(self) -> str:
        return self.route.name


class RestObjects:
    """Implements the verbs; every method raises ApiError or StorageError."""

    def __init__(
        self, registry: Registry, lists: ObjectLists, watches: WatchStreams, clock: WallClock
    ) -> None:
        self._registry = registry
        self._lists = lists
        self._watches = watches
        self._clock = clock

    def asked(self, request: ApiRequest, route: Route, kind: Kind) -> Asked:
        """Raises errors.NotAcceptable."""
        accepted = negotiation.negotiate(request.header("accept"))
        include = request.query.get("includeObject", "")
        return Asked(request, route, kind, Form(kind, accepted, include, self._clock))

    async def get(self, asked: Asked) -> ApiResponse:
        value = await self._read(asked)
        return _respond(asked, rendering.render_object(asked.form, value))

    async def _read(self, asked: Asked) -> bytes:
        """From the store, or from the cache where the request allows an older state."""
        kind, version = asked.kind, asked.request.query.get("resourceVersion", "")
        if not version:
            kv = await self._registry.get(kind, asked.namespace, asked.name)
            return encoded.serve(kind, kv)[0]
        list_options({"resourceVersion": version})
        entry = await self._lists.one(kind, asked.namespace, asked.name, int(version))
        return entry.value

    async def list(self, asked: Asked) -> ApiResponse:
        page = await self._lists.page(
            asked.kind, asked.namespace, list_options(asked.request.query)
        )
        pieces = rendering.render_list(asked.form, page)
        begun, rest = _first_piece(pieces)
        if rest is None:
            return _respond(asked, begun)
        return ApiResponse(
            200,
            content_type=asked.form.accepted.content_type,
            stream=_Pieces(begun, rest).write,
        )

    async def watch(self, asked: Asked) -> ApiResponse:
        query = dict(asked.request.query)
        if asked.name:
            query["fieldSelector"] = f"metadata.name={asked.name}"
        stream = await self._watches.open(
            asked.kind, asked.namespace, list_options(query), rendering.watch_format(asked.form)
        )
        return ApiResponse(200, content_type=asked.form.accepted.content_type, stream=stream)

    async def create(self, asked: Asked) -> ApiResponse:
        call = self.call(asked, "CreateOptions")
        obj = self.body(asked, call)
        created = await self._registry.create(asked.kind, asked.namespace, obj, call)
        return self.written(asked, created, call, status=201)

    async def update(self, asked: Asked) -> ApiResponse:
        """A PUT, of the object or of its status."""
        call = self.call(asked, "UpdateOptions")
        body = orjson.dumps(self.body(asked, call))
        try:
            updated = await self._registry.update(
                asked.kind,
                asked.namespace,
                asked.name,
                lambda _: _loads(body),
                call,
                subresource=asked.route.subresource,
            )
        except errors.NotFound:
            if asked.route.subresource or not self._may_create(asked, _loads(body)):
                raise
            return await self._create_by_update(asked, _loads(body), call)
        return self.written(asked, updated, call)

    def _may_create(self, asked: Asked, body: Object) -> bool:
        """Some kinds are created by a PUT; not if it is meant for an object that was there."""
        known = meta.uid(body) or meta.resource_version(body)
        return self._registry.strategy(asked.kind).allow_create_on_update and not known

    async def _create_by_update(self, asked: Asked, body: Object, call: Call) -> ApiResponse:
        body.setdefault("metadata", {}).setdefault("name", asked.name)
        if meta.name(body) != asked.name:
            raise errors.BadRequest(
                f"the name of the object ({meta.name(body)}) does not match the name on the URL "
                f"({asked.name})"
            )
        created = await self._registry.create(asked.kind, asked.namespace, body, call)
        return self.written(asked, created, call, status=201)

    async def patch(self, asked: Asked) -> ApiResponse:
        """A PATCH, of the object or of its status."""
        call = self.call(asked, "PatchOptions")
        change = self.patch_change(asked, call)
        updated = await self._registry.update(
            asked.kind,
            asked.namespace,
            asked.name,
            change,
            call,
            subresource=asked.route.subresource,
        )
        return self.written(asked, updated, call)

    def patch_change(self, asked: Asked, call: Call) -> Change:
        """What the body of a PATCH does to an object of the kind. Raises for a bad body."""
        kind, request = asked.kind, asked.request
        patch_type = negotiation.patch_type(request.header("content-type"), patching.SUPPORTED)
        _check_size(request)
        patch, duplicates = patching.decode(request.body)
        type_name = schema.type_of(kind)

        def change(old: Object) -> Object:
            new = patching.apply(kind, patch_type, patch, old, type_name)
            self._accept(kind, new, call, duplicates)
            return new

        return change

    async def delete(self, asked: Asked) -> ApiResponse:
        options = self._delete_options(asked)
        call = self._registry.call(asked.request.user, WriteOptions(dry_run=options.dry_run))
        deleted = await self._registry.delete(
            asked.kind, asked.namespace, asked.name, options, call
        )
        if deleted.gone and asked.kind not in SHOWN_WHEN_GONE:
            return json_response(_success(asked.kind, deleted))
        return self.written(asked, deleted.obj, call)

    async def delete_collection(self, asked: Asked) -> ApiResponse:
        """Delete what a list shows, and show what became of it."""
        options = self._delete_options(asked)
        call = self._registry.call(asked.request.user, WriteOptions(dry_run=options.dry_run))
        page = await self._lists.page(
            asked.kind, asked.namespace, list_options(asked.request.query)
        )
        shown = await delete_all(self._registry, asked.kind, page.entries, options, call)
        kind = asked.kind
        metadata = {"resourceVersion": str(page.revision)}
        return json_response(
            {
                "kind": kind.list_kind,
                "apiVersion": kind.api_version,
                "metadata": metadata,
                "items": shown,
            }
        )

    def call(self, asked: Asked, options_kind: str) -> Call:
        options = write_options(asked.request.query, options_kind)
        return self._registry.call(asked.request.user, options)

    def body(self, asked: Asked, call: Call) -> Object:
        """The object in the request, in the form that is stored."""
        request = asked.request
        decoded = bodies.decode(request.header("content-type"), request.body)
        self._accept(asked.kind, decoded.obj, call, decoded.duplicates)
        return decoded.obj

    def written(self, asked: Asked, obj: Object, call: Call, *, status: int = 200) -> ApiResponse:
        value = rendering.render_object(asked.form, orjson.dumps(obj))
        return _respond(asked, value, status=status, warnings=call.warnings)

    def _accept(self, kind: Kind, obj: Object, call: Call, duplicates: Sequence[str]) -> None:
        _check_kind(kind, obj)
        found = accept(kind, obj, validation=call.options.field_validation, duplicates=duplicates)
        call.warnings += [text for text in found if text not in call.warnings]

    def _delete_options(self, asked: Asked) -> DeleteOptions:
        request = asked.request
        body = bodies.decode_optional(request.header("content-type"), request.body)
        return delete_options(request.query, body)


def _loads(body: bytes) -> Object:
    obj: Object = orjson.loads(body)
    return obj


class _Pieces:
    """The rest of a long list."""

    def __init__(self, begun: bytes, rest: Iterator[bytes]) -> None:
        self._begun = begun
        self._rest = rest

    async def write(self, sink: Sink) -> None:
        loop = asyncio.get_running_loop()
        sink.write(self._begun)
        turn_ends = loop.time() + SLICE
        for piece in self._rest:
            sink.write(piece)
            await sink.drain()
            if loop.time() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = loop.time() + SLICE


def _first_piece(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes] | None]:
    """As much as is sent in one go, and the rest if there is any."""
    begun: list[bytes] = []
    size = 0
    for piece in pieces:
        begun.append(piece)
        size += len(piece)
        if size > PIECE:
            return b"".join(begun), pieces
    return b"".join(begun), None


def _check_kind(kind: Kind, obj: Object) -> None:
    """Before the structure of another kind is complained about."""
    given = (obj.get("apiVersion") or kind.api_version, obj.get("kind") or kind.kind)
    if given != (kind.api_version, kind.kind):
        raise errors.BadRequest(
            f"the API version and kind in the data ({given[0]}, {given[1]}) do not match the "
            f"expected ones ({kind.api_version}, {kind.kind})"
        )


def _check_size(request: ApiRequest) -> None:
    if len(request.body) > bodies.MAX_BODY:
        raise errors.RequestEntityTooLarge(limit=bodies.MAX_BODY)


def _respond(
    asked: Asked, value: bytes, *, status: int = 200, warnings: list[str] | None = None
) -> ApiResponse:
    return ApiResponse(
        status,
        value,
        content_type=asked.form.accepted.content_type,
        headers=warning_headers(warnings or []),
    )


def warning_headers(warnings: list[str]) -> dict[str, str]:
    """RFC 7234, section 5.5: code 299, no agent, a quoted text."""
    if not warnings:
        return {}
    return {"Warning": ", ".join(f'299 - "{_quotable(text)}"' for text in warnings)}


def _quotable(text: str) -> str:
    printable = "".join(c if c.isprintable() and c.isascii() else " " for c in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')


def _success(kind: Kind, deleted: Deleted) -> Object:
    details: Object = {"name": meta.name(deleted.obj), "kind": kind.plural}
    if kind.group:
        details["group"] = kind.group
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**details, "uid": meta.uid(deleted.obj)},
    }
