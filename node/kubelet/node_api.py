"""The node's own HTTPS server: what the API server asks the node for.

    GET /containerLogs/NAMESPACE/POD/CONTAINER?follow=&tailLines=&sinceSeconds=&timestamps=&…
    GET /pods       the pods on this node, as a PodList
    GET /metrics    what this process counts, for Prometheus
    GET /healthz    ok

A client certificate of the cluster's authority is required, and one of the group `system:masters`
(the API server's) for everything but /healthz.
"""

import ssl
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from podling.kube.meta import Object
from podling.node.kubelet.logs.container_logs import ContainerLogs, LogRequestError

GROUP = "system:masters"


@dataclass(frozen=True, slots=True)
class NodeApiConfig:
    """Where the certificates are."""

    certificate: Path
    key: Path
    client_authority: Path
    """Certificates of this authority may come in."""
    port: int
    """0: any free port."""


class NodeApi:
    """A component, except that it is told its address when it starts."""

    def __init__(
        self,
        config: NodeApiConfig,
        logs: ContainerLogs,
        pods: Callable[[], list[Object]],
        metrics: CollectorRegistry | None = None,
    ) -> None:
        """`metrics` is what the process counts; the number of pods is added to it."""
        self._config = config
        self._logs = logs
        self._pods = pods
        self._registry = metrics or CollectorRegistry()
        desired = Gauge(
            "kubelet_desired_pods", "Pods bound to this node.", ("static",), registry=self._registry
        )
        desired.labels("").set_function(lambda: len(pods()))
        self._runner: web.AppRunner | None = None
        self.port = config.port
        """The port it listens on, once started."""

    async def start(self, address: str) -> None:
        """Listen on `address`; OSError if that is not possible."""
        app = web.Application(middlewares=[_authorize])
        app.router.add_get("/healthz", _healthz)
        app.router.add_get("/pods", self._list_pods)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._container_logs)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0
        )
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, address, self._config.port, ssl_context=self._tls(), backlog=128
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._config.certificate, self._config.key)
        context.load_verify_locations(self._config.client_authority)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def _list_pods(self, request: web.Request) -> web.Response:
        body: Object = {"kind": "PodList", "apiVersion": "v1", "metadata": {}}
        body["items"] = self._pods()
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    async def _metrics(self, request: web.Request) -> web.Response:
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _container_logs(self, request: web.Request) -> web.StreamResponse:
        names = request.match_info
        try:
            options = self._logs.options(request.query)
            log = self._logs.find(
                names["namespace"], names["pod"], names["container"], previous=options.previous
            )
        except LogRequestError as error:
            return web.Response(status=error.status, text=str(error))
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        async with aclosing(self._logs.read(log, options)) as pieces:
            async for piece in pieces:
                await response.write(piece)
        await response.write_eof()
        return response


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok")


@web.middleware
async def _authorize(request: web.Request, handler: Any) -> web.StreamResponse:
    if request.path != "/healthz" and GROUP not in _groups(request):
        text = f"this node serves the API server only: a certificate of group {GROUP} is needed"
        return web.Response(status=403, text=text)
    response: web.StreamResponse = await handler(request)
    return response


def _groups(request: web.Request) -> set[str]:
    """The organizations in the subject of the client's certificate, which are its groups."""
    transport = request.transport
    certificate = transport.get_extra_info("peercert") if transport is not None else None
    subject = (certificate or {}).get("subject", ())
    return {value for part in subject for key, value in part if key == "organizationName"}
