"""The REST client: objects in, objects out, over any transport.

Every call raises a subclass of `podling.kube.errors.ApiError` if the server says no, and
`TransportError` if no complete answer came; a write may then have happened or not. Nothing is tried
again here: whoever calls knows whether that is safe.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson

from podling.kube import meta, watch_frames
from podling.kube.errors import ApiError
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from podling.kube.transport import (
    HttpRequest,
    HttpResponse,
    HttpStream,
    Transport,
    TransportError,
)
from podling.kube.watch_frames import FrameDecoder, FrameError, WatchEvent

JSON: Final = "application/json"
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"

ANY_VERSION: Final = "0"
"""As a resourceVersion of a read: the server need not ask the others for newer ones."""

PAGE: Final = 500
"""Objects per page of a list, as client-go asks for."""


@dataclass(frozen=True, slots=True)
class ObjectList:
    """What a list says: the objects as of one revision."""

    items: list[Object]
    resource_version: str
    """Watching from here misses nothing and repeats nothing."""


class Client:
    """Speaks for one identity, which is the transport's."""

    def __init__(
        self, transport: Transport, *, user_agent: str, request_timeout: float = 30.0
    ) -> None:
        """`request_timeout`: seconds for a whole answer, or for a watch or log to begin."""
        self._transport = transport
        self._user_agent = user_agent
        self._timeout = request_timeout

    async def get(
        self, kind: Kind, name: str, namespace: str = "", *, resource_version: str = ""
    ) -> Object:
        """The newest state; with ANY_VERSION one that the server has at hand, perhaps older."""
        query = _present(resourceVersion=resource_version)
        return await self._call("GET", kind.path(namespace, name), query)

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        resource_version: str = "",
    ) -> ObjectList:
        """All objects that match, fetched in pages of at most `limit` (0: of a usual size)."""
        items: list[Object] = []
        revision = ""
        pages = self.pages(
            kind,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            limit=limit,
            resource_version=resource_version,
        )
        async with aclosing(pages):
            async for page in pages:
                items += page.items
                revision = page.resource_version
        return ObjectList(items, revision)

    async def pages(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        resource_version: str = "",
    ) -> AsyncGenerator[ObjectList, None]:
        """The pages of a list, all of the same revision."""
        query = {"limit": str(limit or PAGE)} | _present(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=resource_version,
        )
        while True:
            answer = await self._call("GET", kind.path(namespace), query)
            metadata = answer.get("metadata") or {}
            items = answer.get("items") or []
            for item in items:
                # Upstream leaves them out of the items of a list; watches have them.
                item.setdefault("apiVersion", kind.api_version)
                item.setdefault("kind", kind.kind)
            yield ObjectList(items, metadata.get("resourceVersion", ""))
            if not (token := metadata.get("continue", "")):
                return
            query.pop("resourceVersion", None)
            query["continue"] = token

    async def create(self, kind: Kind, obj: Object, namespace: str = "") -> Object:
        """`namespace` is needed only where the object does not name its own."""
        path = kind.path(namespace or meta.namespace(obj))
        return await self._call("POST", path, body=_encode(obj))

    async def create_subresource(
        self, kind: Kind, name: str, subresource: str, obj: Object, namespace: str = ""
    ) -> Object:
        """Such as a pod's `binding` or `eviction`."""
        return await self._call("POST", kind.path(namespace, name, subresource), body=_encode(obj))

    async def update(self, kind: Kind, obj: Object, subresource: str = "") -> Object:
        """Replace the object; a resourceVersion in it makes that conditional (Conflict)."""
        path = kind.path(meta.namespace(obj), meta.name(obj), subresource)
        return await self._call("PUT", path, body=_encode(obj))

    async def patch(
        self,
        kind: Kind,
        name: str,
        patch: Object | Sequence[Object],
        namespace: str = "",
        *,
        content_type: str = MERGE_PATCH,
        subresource: str = "",
    ) -> Object:
        return await self._call(
            "PATCH",
            kind.path(namespace, name, subresource),
            body=_encode(patch),
            content_type=content_type,
        )

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        """Ask for deletion; `uid` and `resource_version` make it conditional (Conflict).

        Returns the object, which may live on until its grace and finalizers are done, or a Status.
        """
        preconditions = _given(uid=uid, resourceVersion=resource_version)
        options = {"apiVersion": "v1", "kind": "DeleteOptions"} | _given(
            gracePeriodSeconds=grace_period_seconds,
            propagationPolicy=propagation_policy,
            preconditions=preconditions or None,
        )
        return await self._call("DELETE", kind.path(namespace, name), body=_encode(options))

    def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 0,
        bookmarks: bool = True,
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent]]:
        """What happens after `resource_version`; without one, also what there is now.

        Use `async with client.watch(...) as events: async for event in events`. Iteration ends when
        the server ends the watch in good order, as after `timeout_seconds`. An ERROR event is
        raised: Expired says that history does not reach back to `resource_version`.
        """
        query = {"watch": "true"} | _present(
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
            timeoutSeconds=str(timeout_seconds or ""),
            allowWatchBookmarks="true" if bookmarks else "",
        )
        return self._watch(self._request("GET", kind.path(namespace), query))

    @asynccontextmanager
    async def _watch(self, request: HttpRequest) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        stream = await self._stream(request)
        try:
            async with aclosing(_events(stream)) as events:
                yield events
        finally:
            await stream.close()

    async def raw(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        content_type: str = JSON,
        accept: str = JSON,
    ) -> HttpResponse:
        """Any request; the answer as it comes, if its status says success."""
        request = self._request(method, path, query, body, content_type, accept)
        response = await self._transport.request(request, timeout=self._timeout)
        if response.status >= 300:
            raise error_from(response.status, response.body)
        return response

    async def _stream(self, request: HttpRequest) -> HttpStream:
        stream = await self._transport.stream(request, timeout=self._timeout)
        if stream.status < 300:
            return stream
        try:
            body = b"".join([piece async for piece in stream])
        finally:
            await stream.close()
        raise error_from(stream.status, body)

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        content_type: str = JSON,
    ) -> Object:
        response = await self.raw(method, path, query=query, body=body, content_type=content_type)
        try:
            answer = orjson.loads(response.body)
        except ValueError as error:
            raise TransportError(f"{method} {path}: the answer is not JSON: {error}") from error
        if not isinstance(answer, dict):
            raise TransportError(f"{method} {path}: the answer is not an object")
        return answer

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        content_type: str = JSON,
        accept: str = JSON,
    ) -> HttpRequest:
        headers = {"Accept": accept, "User-Agent": self._user_agent}
        if body:
            headers["Content-Type"] = content_type
        return HttpRequest(method, path, query or {}, headers, body)


async def _events(stream: HttpStream) -> AsyncGenerator[WatchEvent, None]:
    decoder = FrameDecoder()
    try:
        async for piece in stream:
            for event in decoder.feed(piece):
                if event.type == watch_frames.ERROR:
                    raise ApiError.from_status(event.object)
                yield event
    except FrameError as error:
        raise TransportError(f"the watch is not readable: {error}") from error
    if decoder.partial:
        raise TransportError("the watch ended in the middle of an event")


def error_from(status: int, body: bytes) -> ApiError:
    """What an answer that is no success says: its Status, or failing that its text."""
    try:
        answer: Any = orjson.loads(body)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and answer.get("kind") == "Status":
        return ApiError.from_status(answer)
    text = body[:500].decode(errors="replace").strip()
    return ApiError.from_status({"code": status, "message": text})


def _encode(obj: Object | Sequence[Object]) -> bytes:
    return orjson.dumps(obj)


def _present(**parameters: str) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value}


def _given(**options: Any) -> Object:
    return {name: value for name, value in options.items() if value is not None}
