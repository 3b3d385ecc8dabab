"""`podling.cluster.v1.Objects`: the objects of the cluster over gRPC.

What changes something goes through the REST function, so that the two faces cannot differ; lists
and watches take their bytes from the same cache.
"""

from collections.abc import AsyncIterator, Callable, Hashable
from functools import lru_cache
from typing import Any

import orjson
from cryptography import x509
from cryptography.x509.oid import NameOID

from podling.aiokit.tasks import TaskSet
from podling.controlplane.apiserver.api_core import ApiCore
from podling.controlplane.apiserver.cluster_grpc import status_codes
from podling.controlplane.apiserver.request import authn, routes
from podling.controlplane.apiserver.request.authn import User
from podling.controlplane.apiserver.request.messages import ApiRequest, ApiResponse
from podling.controlplane.apiserver.request.negotiation import JSON, PatchType
from podling.controlplane.apiserver.request.options import NOT_OLDER_THAN, ListOptions
from podling.controlplane.apiserver.rest.pipe import Pipe
from podling.controlplane.apiserver.storage.interface import StorageError
from podling.controlplane.apiserver.watch_cache.object_lists import Page
from podling.controlplane.apiserver.watch_cache.watchers import WatchFormat
from podling.controlplane.clusterpb import cluster_pb2, cluster_pb2_grpc
from podling.kube import errors, kinds
from podling.kube.errors import ApiError
from podling.kube.kinds import Kind

_PATCH_TYPES = {
    cluster_pb2.PatchRequest.MERGE: PatchType.MERGE,
    cluster_pb2.PatchRequest.STRATEGIC_MERGE: PatchType.STRATEGIC_MERGE,
    cluster_pb2.PatchRequest.JSON: PatchType.JSON_PATCH,
}


class ObjectsService(cluster_pb2_grpc.ObjectsServicer):
    """Serves one `ApiCore`. `user_of` tells who a call comes from."""

    def __init__(self, core: ApiCore, user_of: Callable[[Any], User]) -> None:
        self._core = core
        self._user_of = user_of

    async def Get(self, request: Any, context: Any) -> cluster_pb2.ObjectResponse:
        path = await _object_path(context, request, request.subresource)
        return await self._ask(context, "GET", path)

    async def Create(self, request: Any, context: Any) -> cluster_pb2.ObjectResponse:
        if request.subresource:
            path = await _object_path(context, request, request.subresource)
        else:
            path = (await _kind(context, request)).path(request.namespace)
        return await self._ask(
            context, "POST", path, request.object, query=_dry_run(request.dry_run)
        )

    async def Update(self, request: Any, context: Any) -> cluster_pb2.ObjectResponse:
        path = await _object_path(context, request, request.subresource)
        return await self._ask(
            context, "PUT", path, request.object, query=_dry_run(request.dry_run)
        )

    async def Patch(self, request: Any, context: Any) -> cluster_pb2.ObjectResponse:
        path = await _object_path(context, request, request.subresource)
        patch_type = _PATCH_TYPES.get(request.type)
        if patch_type is None:
            await status_codes.abort(context, errors.BadRequest("unknown patch type"))
        return await self._ask(
            context,
            "PATCH",
            path,
            request.patch,
            content_type=patch_type.value,
            query=_dry_run(request.dry_run),
        )

    async def Delete(self, request: Any, context: Any) -> cluster_pb2.ObjectResponse:
        path = await _object_path(context, request)
        options: dict[str, Any] = {"dryRun": ["All"]} if request.dry_run else {}
        if request.HasField("grace_period_seconds"):
            options["gracePeriodSeconds"] = request.grace_period_seconds
        if request.propagation_policy:
            options["propagationPolicy"] = request.propagation_policy
        if request.uid:
            options["preconditions"] = {"uid": request.uid}
        return await self._ask(context, "DELETE", path, orjson.dumps(options))

    async def List(self, request: Any, context: Any) -> cluster_pb2.ListResponse:
        kind = await _kind(context, request)
        options = ListOptions(
            label_selector=request.label_selector,
            field_selector=request.field_selector,
            resource_version=request.resource_version,
            limit=max(request.limit, 0),
            continue_token=request.continue_token,
        )
        try:
            self._authorize(context, kind, request.namespace, "list")
            _check_version(options)
            page: Page = await self._core.lists.page(kind, request.namespace, options)
        except (ApiError, StorageError) as error:
            await status_codes.abort(context, error)
        return cluster_pb2.ListResponse(
            objects=[entry.value for entry in page.entries],
            resource_version=str(page.revision),
            continue_token=page.continue_token,
        )

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[cluster_pb2.WatchEvent]:
        kind = await _kind(context, request)
        state = request.resource_version in ("", "0")
        options = ListOptions(
            label_selector=request.label_selector,
            field_selector=request.field_selector,
            resource_version=request.resource_version,
            resource_version_match=NOT_OLDER_THAN if state else "",
            send_initial_events=True if state else None,
            allow_watch_bookmarks=request.bookmarks,
            timeout_seconds=request.timeout_seconds or None,
        )
        try:
            self._authorize(context, kind, request.namespace, "watch")
            _check_version(options)
            stream = await self._core.watches.open(kind, request.namespace, options, FRAMES)
        except (ApiError, StorageError) as error:
            await status_codes.abort(context, error)
        sink = Pipe()
        async with TaskSet("grpc-watch") as tasks:
            tasks.spawn(sink.fill(stream), name=kind.plural)
            async for frame in sink.pieces():
                event = cluster_pb2.WatchEvent.FromString(frame)
                if event.type == cluster_pb2.WatchEvent.UNKNOWN:
                    await status_codes.abort(
                        context, ApiError.from_status(orjson.loads(event.object))
                    )
                yield event
        if sink.broken:
            text = "the watch was cut off: its events were not taken in time, or the server failed"
            await status_codes.abort(context, errors.TooManyRequests(text))

    async def _ask(
        self,
        context: Any,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str = JSON,
        query: dict[str, str] | None = None,
    ) -> cluster_pb2.ObjectResponse:
        """What the REST function answers."""
        headers = {"accept": JSON, "content-type": content_type}
        user = self._user_of(context)
        request = ApiRequest(method, path, query or {}, headers, body, user)
        response = await self._core.face.handle(request)
        if response.status >= 300:
            await status_codes.abort(context, ApiError.from_status(orjson.loads(response.body)))
        return cluster_pb2.ObjectResponse(object=response.body, warnings=_warnings(response))

    def _authorize(self, context: Any, kind: Kind, namespace: str, verb: str) -> None:
        query = {"watch": "true"} if verb == "watch" else {}
        request = ApiRequest("GET", kind.path(namespace), query, user=self._user_of(context))
        route = routes.parse(request.method, request.path, request.query)
        self._core.face.authorize(request, route)


class _Frames:
    """Implements WatchFormat: each event is one encoded WatchEvent."""

    key: Hashable = "podling.cluster.v1"

    @property
    def later(self) -> WatchFormat:
        return self

    def frame(self, change: str, value: bytes) -> bytes:
        return _encode(cluster_pb2.WatchEvent.Type.Value(change), object=value)

    def bookmark(self, revision: int, *, end_of_state: bool) -> bytes:
        events = cluster_pb2.WatchEvent
        what = events.STATE_COMPLETE if end_of_state else events.BOOKMARK
        return _encode(what, resource_version=str(revision))

    def error(self, error: ApiError) -> bytes:
        return _encode(cluster_pb2.WatchEvent.UNKNOWN, object=orjson.dumps(error.to_status()))


FRAMES = _Frames()


def _encode(what: Any, **fields: Any) -> bytes:
    return cluster_pb2.WatchEvent(type=what, **fields).SerializeToString()


def user_of_peer(context: Any) -> User:
    """Who calls, by the client certificate of the connection."""
    found = context.auth_context().get("x509_pem_cert")
    return _identify(found[0]) if found else authn.ANONYMOUS_USER


@lru_cache(maxsize=256)
def _identify(pem: bytes) -> User:
    names = {NameOID.COMMON_NAME: "commonName", NameOID.ORGANIZATION_NAME: "organizationName"}
    subject = tuple(
        ((names[attribute.oid], str(attribute.value)),)
        for attribute in x509.load_pem_x509_certificate(pem).subject
        if attribute.oid in names
    )
    return authn.identify({"subject": subject})


async def _kind(context: Any, request: Any) -> Kind:
    kind = kinds.find_kind(request.kind.api_version, request.kind.kind)
    if kind is None:
        text = f"no kind {request.kind.kind!r} in {request.kind.api_version!r} is served here"
        await status_codes.abort(context, ApiError(text, code=404, reason="NotFound"))
    return kind


async def _object_path(context: Any, request: Any, subresource: str = "") -> str:
    """Of one object. Without a name it would be that of the whole collection."""
    kind = await _kind(context, request)
    if not request.name:
        await status_codes.abort(context, errors.BadRequest("name is required"))
    return kind.path(request.namespace, request.name, subresource)


def _check_version(options: ListOptions) -> None:
    version = options.resource_version
    if version and not (version.isascii() and version.isdigit()):
        raise errors.BadRequest(f"resource_version must be a number, not {version!r}")


def _dry_run(wanted: bool) -> dict[str, str]:
    return {"dryRun": "All"} if wanted else {}


def _warnings(response: ApiResponse) -> list[str]:
    """Back from the header: `299 - "one", 299 - "two"`."""
    header = response.headers.get("Warning", "")
    if not header:
        return []
    texts = header.removeprefix('299 - "').removesuffix('"').split('", 299 - "')
    return [text.replace('\\"', '"').replace("\\\\", "\\") for text in texts]
