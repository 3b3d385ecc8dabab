"""Wires the proxy to the API: every change of a Service or EndpointSlice makes a new table."""

import asyncio
import logging

from podling.aiokit.tasks import OnDeath, TaskSet
from podling.kube import kinds
from podling.kube.event_recorder import EventRecorder
from podling.kube.informer import Informer, InformerFactory
from podling.proxy.services import routing_table
from podling.proxy.services.listeners import Listeners, ListenerSource
from podling.proxy.services.routing_table import Frontend, Route

log = logging.getLogger(__name__)


SETTLE_SECONDS = 0.002
"""Changes that come this close together make one table."""


class ServiceProxy:
    """Component: listens on the cluster IPs of all Services and balances connections."""

    name = "service-proxy"

    def __init__(
        self,
        informers: InformerFactory,
        source: ListenerSource,
        events: EventRecorder,
        on_death: OnDeath | None = None,
    ) -> None:
        self._services: Informer = informers.informer(kinds.SERVICE)
        self._slices: Informer = informers.informer(kinds.ENDPOINT_SLICE)
        self._events = events
        self._listeners = Listeners(source, self._report)
        self._changed = asyncio.Event()
        self._tasks = TaskSet(self.name, on_death)

    async def start(self) -> None:
        """Serve from the moment that Services and EndpointSlices are known, in the background."""
        for informer in (self._services, self._slices):
            informer.subscribe(lambda _: self._changed.set())
        self._tasks.spawn(self._follow(), name="follow")

    async def stop(self) -> None:
        await self._tasks.close()
        await self._listeners.close()

    async def _follow(self) -> None:
        await self._services.wait_synced()
        await self._slices.wait_synced()
        while True:
            self._changed.clear()
            await self._listeners.apply(
                routing_table.build(self._services.objects(), self._slices.objects())
            )
            await self._changed.wait()
            await asyncio.sleep(SETTLE_SECONDS)

    def _report(
        self, route: Route, frontend: Frontend, instead: Frontend | None, error: OSError
    ) -> None:
        wanted = f"{frontend.address}:{frontend.port}"
        if instead is None:
            reason, text = "ListenFailed", f"cannot listen on {wanted}: {error.strerror}"
        else:
            reason = "PrivilegedPort"
            text = (
                f"listening on {wanted} needs a privilege that the proxy lacks ({error.strerror}); "
                f"{instead.address}:{instead.port} serves instead"
            )
        log.warning("service %s: %s", route.service, text)
        service = self._services.get(route.service)
        if service is not None:
            self._events.event(service, "Warning", reason, text)
