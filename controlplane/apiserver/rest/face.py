"""The REST interface as one function: a request in, an answer out, never an exception.

    parse the route -> authorise -> admit by requests in flight -> the verb -> an answer

Whatever goes wrong becomes a `Status`. Faces (HTTP, in-process) have identified the caller.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from podling.controlplane.apiserver.request import authz, routes
from podling.controlplane.apiserver.request.authz import Authorizer
from podling.controlplane.apiserver.request.messages import ApiRequest, ApiResponse, json_response
from podling.controlplane.apiserver.request.routes import Route
from podling.controlplane.apiserver.rest.in_flight import READING, InFlight
from podling.controlplane.apiserver.rest.logs import RestLogs
from podling.controlplane.apiserver.rest.objects import Asked, RestObjects
from podling.controlplane.apiserver.rest.subresources import RestSubresources
from podling.controlplane.apiserver.storage import api_errors
from podling.controlplane.apiserver.storage.interface import StorageError
from podling.kube import errors
from podling.kube.errors import ApiError
from podling.kube.kinds import POD

log = logging.getLogger(__name__)

REQUEST_SECONDS = 60.0
"""Until an answer must have begun (upstream's --request-timeout)."""


class Paths(Protocol):
    """Serves what is no resource: health, version, discovery, metrics."""

    async def handle(self, request: ApiRequest, route: Route) -> ApiResponse: ...


#: Told of every request that was answered: route, status, seconds until the answer began.
Observer = Callable[[Route, int, float], None]


class RestFace:
    """Answers requests."""

    def __init__(
        self,
        authorizer: Authorizer,
        in_flight: InFlight,
        objects: RestObjects,
        subresources: RestSubresources,
        logs: RestLogs,
        paths: Paths,
        observe: Observer,
    ) -> None:
        self._authorizer = authorizer
        self._in_flight = in_flight
        self._objects = objects
        self._subresources = subresources
        self._logs = logs
        self._paths = paths
        self._observe = observe
        self._verbs: dict[str, Callable[[Asked], Awaitable[ApiResponse]]] = {
            "get": objects.get,
            "list": objects.list,
            "watch": objects.watch,
            "create": objects.create,
            "update": objects.update,
            "patch": objects.patch,
            "delete": objects.delete,
            "deletecollection": objects.delete_collection,
        }

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer one request. A stream in the answer has yet to be written."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        route = routes.parse(request.method, request.path, request.query)
        try:
            response = await self._answer(request, route)
        except ApiError as error:
            response = error_response(error)
        except StorageError as error:
            response = error_response(api_errors.to_api_error(error))
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            text = f"{type(error).__name__}, see the log of this server"
            response = error_response(errors.InternalError(text))
        self._observe(route, response.status, loop.time() - began)
        return response

    async def _answer(self, request: ApiRequest, route: Route) -> ApiResponse:
        self.authorize(request, route)
        if not route.is_resource:
            return await self._paths.handle(request, route)
        with self._in_flight.admitted(route.verb):
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    return await self._resource(request, route)
            except TimeoutError:
                raise _too_late(route.verb) from None

    def authorize(self, request: ApiRequest, route: Route) -> None:
        """Raises errors.Forbidden. For faces that answer without `handle`."""
        asked = authz.attributes(request.user, route)
        decision = self._authorizer.authorize(asked)
        if not decision.allowed:
            raise authz.forbidden(asked, decision.reason)

    async def _resource(self, request: ApiRequest, route: Route) -> ApiResponse:
        kind = routes.require_served(route)
        asked = self._objects.asked(request, route, kind)
        subresource = kind.subresource(route.subresource) if route.subresource else None
        if subresource is None:
            return await self._verbs[route.verb](asked)
        if kind == POD and subresource.name == "log":
            return await self._logs.get(asked)
        return await self._subresources.handle(asked, subresource)


def error_response(error: ApiError) -> ApiResponse:
    """The Status, with the headers that clients act on."""
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return json_response(error.to_status(), error.code, headers)


def _too_late(verb: str) -> ApiError:
    text = f"request did not complete within {REQUEST_SECONDS:g} s"
    if verb in READING:
        return errors.Timeout(text, retry_after=1)
    return errors.Timeout(f"{text}; its outcome is unknown, it may have happened or may still")
