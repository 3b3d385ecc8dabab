"""Paths that are no resources: health, version, discovery, OpenAPI, metrics.

/livez        the process answers
/readyz       it can serve: the cache is filled and it is not stopping (also /healthz)
/debug/state  what the process knows of itself, for administrators
/version      what version of Kubernetes this is compatible with
"""

import platform
from collections.abc import Callable, Mapping

import orjson

from podling.controlplane.apiserver.documents.discovery import Discovery, Document
from podling.controlplane.apiserver.documents.openapi import OpenApi
from podling.controlplane.apiserver.request.messages import ApiRequest, ApiResponse
from podling.controlplane.apiserver.request.routes import Route, is_true
from podling.kube import errors

VERSION_MAJOR, VERSION_MINOR = "1", "37"
TEXT = "text/plain; charset=utf-8"
METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"

#: Name -> why it fails; "" if it does not.
Checks = Callable[[], Mapping[str, str]]
#: Component -> its state, as JSON allows it.
State = Callable[[], Mapping[str, object]]


class RestPaths:
    """Implements `face.Paths`."""

    def __init__(
        self,
        discovery: Discovery,
        openapi: OpenApi,
        ready: Checks,
        metrics: Callable[[], bytes],
        state: State,
        podling_version: str,
    ) -> None:
        self._discovery = discovery
        self._openapi = openapi
        self._ready = ready
        self._metrics = metrics
        self._state = state
        self._version = version_info(podling_version)

    async def handle(self, request: ApiRequest, route: Route) -> ApiResponse:
        if request.method not in ("GET", "HEAD"):
            raise errors.MethodNotAllowed(verb=request.method.lower())
        root = "/" + route.path.strip("/").partition("/")[0]
        match root:
            case "/livez":
                return _text("ok")
            case "/healthz" | "/readyz":
                return self._health(root.strip("/"), is_true(request.query.get("verbose")))
            case "/version":
                return ApiResponse(200, orjson.dumps(self._version, option=orjson.OPT_INDENT_2))
            case "/debug" if route.path.rstrip("/") == "/debug/state":
                return ApiResponse(200, orjson.dumps(self._state(), option=orjson.OPT_INDENT_2))
            case "/metrics":
                return ApiResponse(200, self._metrics(), content_type=METRICS_TEXT)
        document = self._discovery.answer(route.path, request.header("accept"))
        document = document or self._openapi.answer(route.path)
        if document is None:
            raise errors.NotFound()
        return _document(document, request.header("if-none-match"))

    def _health(self, name: str, verbose: bool) -> ApiResponse:
        checks = self._ready()
        failed = {check: why for check, why in checks.items() if why}
        if not failed and not verbose:
            return _text("ok")
        lines = [
            f"[-]{check} failed: {why}" if why else f"[+]{check} ok"
            for check, why in checks.items()
        ]
        verdict = f"{name} check {'failed' if failed else 'passed'}"
        return _text("\n".join((*lines, verdict, "")), status=500 if failed else 200)


def version_info(podling_version: str) -> dict[str, str]:
    """The document of `/version` (apimachinery's version.Info). Numbers are texts there."""
    return {
        "major": VERSION_MAJOR,
        "minor": VERSION_MINOR,
        "gitVersion": f"v{VERSION_MAJOR}.{VERSION_MINOR}.0+podling-{podling_version}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": "python",
        "platform": f"{platform.system().lower()}/{platform.machine()}",
    }


def _text(body: str, status: int = 200) -> ApiResponse:
    return ApiResponse(status, body.encode(), content_type=TEXT)


def _document(document: Document, known: str) -> ApiResponse:
    if known == document.etag:
        return ApiResponse(304, content_type=document.content_type, headers={"ETag": document.etag})
    return ApiResponse(
        200,
        document.body,
        content_type=document.content_type,
        headers={"ETag": document.etag, "Vary": "Accept"},
    )
