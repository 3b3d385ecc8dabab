"""What operators and probes ask a member over HTTP (etcd: server/etcdserver/api/etcdhttp).

    GET /health     {"health": "true"}, or 503 and the reason; ?exclude=ALARM ?serializable=true
    GET /livez      ok, or 503 and which check failed; ?verbose ?exclude=CHECK; /livez/CHECK
    GET /readyz     as /livez, with the checks that need the cluster
    GET /metrics    what this process counts, for Prometheus
    GET /version    what it serves

etcd answers these on its client addresses too. Here those belong to the gRPC library, which serves
nothing else, so they have addresses of their own (etcd has the flag --listen-metrics-urls for that,
which is where kubeadm looks for them).
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.etcd.server_certificate import ServerCertificate, renewing_context
from podling.controlplane.store.store import Store
from podling.controlplane.store.version import STORAGE_VERSION, VERSION

log = logging.getLogger(__name__)

#: Raises CheckFailed or StoreError.
Check = Callable[[], Awaitable[None]]


class CheckFailed(Exception):
    """Something is not as it should be; says what."""


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Where to listen."""

    address: str
    """`host:port`; port 0 lets the system choose (see `HttpEndpoints.port`)."""
    tls: ServerCertificate | None = None
    """None serves in the clear."""


class HttpEndpoints:
    """A component; started when the store is."""

    def __init__(self, config: HttpConfig, store: Store, registry: CollectorRegistry) -> None:
        """`registry` has what /metrics shows."""
        self._config = config
        self._store = store
        self._registry = registry
        self._runner: web.AppRunner | None = None
        self.port = 0
        """The port it listens on, once started."""

    @property
    def name(self) -> str:
        return "http-endpoints"

    async def start(self) -> None:
        """Raises OSError if the address cannot be bound or a certificate cannot be read."""
        config = self._config
        host, _, port = config.address.rpartition(":")
        tls = None if config.tls is None else renewing_context(config.tls)
        self._runner = web.AppRunner(
            self._application(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0
        )
        await self._runner.setup()
        try:
            # Brackets are how URLs write IPv6, not part of the address.
            await web.TCPSite(self._runner, host.strip("[]"), int(port), ssl_context=tls).start()
        except OSError as error:
            await self.stop()
            raise OSError(f"store cannot listen for HTTP on {config.address}: {error}") from error
        self.port = self._runner.addresses[0][1]
        log.info("serving HTTP on %s", config.address)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _application(self) -> web.Application:
        live: dict[str, Check] = {"serializable_read": self._read_here}
        ready: dict[str, Check] = {
            "data_corruption": self._not_corrupt,
            "linearizable_read": self._read_current,
            "non_learner": self._may_vote,
            "serializable_read": self._read_here,
        }
        application = web.Application(client_max_size=1024)
        application.router.add_get("/health", self._health)
        for path, checks in (("/livez", live), ("/readyz", ready)):
            application.router.add_get(path, _checked(checks))
            for name, check in checks.items():
                application.router.add_get(f"{path}/{name}", _checked({name: check}))
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/version", _version)
        return application

    async def _health(self, request: web.Request) -> web.Response:
        excluded = set(request.query.getall("exclude", ()))
        reason = await self._unhealthy(excluded, request.query.get("serializable") == "true")
        body = {"health": "false" if reason else "true", "reason": reason}
        return web.Response(
            status=503 if reason else 200,
            body=orjson.dumps(body),
            content_type="text/plain" if reason else "application/json",
        )

    async def _unhealthy(self, excluded: Iterable[str], serializable: bool) -> str:
        """Why; empty if the member is well."""
        for alarm in self._store.alarms.raised():
            if alarm.type.name not in excluded:
                return f"ALARM {alarm.type.name}"
        if not serializable and not self._store.members.leader:
            return "RAFT NO LEADER"
        try:
            await (self._read_here() if serializable else self._read_current())
        except errors.StoreError as error:
            return f"RANGE ERROR:{error}"
        return ""

    async def _read_here(self) -> None:
        await self._read(serializable=True)

    async def _read_current(self) -> None:
        await self._read(serializable=False)

    async def _read(self, *, serializable: bool) -> None:
        request = rq.RangeRequest(b"health", serializable=serializable, keys_only=True)
        await self._store.range(request, user=self._store.auth.root())

    async def _not_corrupt(self) -> None:
        if any(alarm.type is rq.AlarmType.CORRUPT for alarm in self._store.alarms.raised()):
            raise CheckFailed("alarm activated: CORRUPT")

    async def _may_vote(self) -> None:
        if self._store.members.is_learner:
            raise CheckFailed("not supported for learner")

    async def _metrics(self, request: web.Request) -> web.Response:
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _checked(checks: Mapping[str, Check]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        excluded = set(request.query.getall("exclude", ()))
        lines, failed = "", False
        for name, check in checks.items():
            if name in excluded:
                continue
            try:
                await check()
                lines += f"[+]{name} ok\n"
            except (CheckFailed, errors.StoreError) as error:
                lines += f"[-]{name} failed: {error}\n"
                failed = True
        if failed:
            return web.Response(status=503, text=lines)
        return web.Response(text=(lines if "verbose" in request.query else "") + "ok\n")

    return handle


async def _version(request: web.Request) -> web.Response:
    body = {"etcdserver": VERSION, "etcdcluster": VERSION, "storage": STORAGE_VERSION}
    return web.Response(body=orjson.dumps(body), content_type="application/json")
