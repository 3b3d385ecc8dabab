"""What every cluster has before anybody asks: system namespaces, and the API server's own Service.

Every server makes what is missing, as soon as the store takes writes, looks again now and then,
because people delete things, and keeps the addresses of the Service `kubernetes` true. Source:
kube-apiserver's controlplane package.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from podling.aiokit.backoff import Backoff
from podling.controlplane.apiserver.registry.registry import Registry
from podling.controlplane.apiserver.request import authn
from podling.controlplane.apiserver.request.authn import User
from podling.controlplane.apiserver.storage.interface import StorageError
from podling.kube import errors
from podling.kube.errors import ApiError
from podling.kube.kinds import ENDPOINT_SLICE, NAMESPACE, SERVICE, Kind
from podling.kube.meta import Object

log = logging.getLogger(__name__)

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
NAMESPACE_NAME = "default"
SERVICE_NAME = "kubernetes"
HTTPS = 443
USER = User("system:apiserver", (authn.MASTERS, authn.AUTHENTICATED))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one API server can be reached."""

    address: str
    port: int


class Bootstrap:
    """Makes the objects; run it as a task."""

    def __init__(
        self,
        registry: Registry,
        service_address: str,
        endpoints: Iterable[Endpoint],
        backoff: Backoff,
        *,
        interval: float,
    ) -> None:
        """`interval`: seconds between two looks."""
        self._registry = registry
        self._service_address = service_address
        self._endpoints = tuple(endpoints)
        self._backoff = backoff
        self._interval = interval
        self.done = asyncio.Event()

    async def run(self) -> None:
        """Make what is missing, for ever; `done` is set when everything is there at first."""
        while True:
            await self._try()
            self.done.set()
            await asyncio.sleep(self._interval)

    async def _try(self) -> None:
        complaint = ""
        while True:
            try:
                await self.ensure()
                self._backoff.reset()
                return
            except (ApiError, StorageError) as error:
                if str(error) != complaint:
                    complaint = str(error)
                    log.info("the system's own objects cannot be made yet: %s", complaint)
                await asyncio.sleep(self._backoff.next())

    async def ensure(self) -> None:
        for name in SYSTEM_NAMESPACES:
            await self._create(NAMESPACE, "", {"metadata": {"name": name}})
        await self._create(SERVICE, NAMESPACE_NAME, self._service())
        for index, (port, addresses) in enumerate(sorted(self._by_port().items())):
            name = f"{SERVICE_NAME}-{index + 1}" if index else SERVICE_NAME
            await self._apply(ENDPOINT_SLICE, NAMESPACE_NAME, _slice(name, port, addresses))

    async def _create(self, kind: Kind, namespace: str, obj: Object) -> bool:
        """False if it was there already."""
        try:
            await self._registry.get(kind, namespace, obj["metadata"]["name"])
        except errors.NotFound:
            pass
        else:
            return False
        try:
            await self._registry.create(kind, namespace, obj, self._registry.call(USER))
        except errors.AlreadyExists:
            return False
        return True

    async def _apply(self, kind: Kind, namespace: str, obj: Object) -> None:
        """Create it, or make what exists carry the same endpoints."""
        if await self._create(kind, namespace, obj):
            return
        wanted = {field: obj[field] for field in ("endpoints", "ports")}
        await self._registry.update(
            kind,
            namespace,
            obj["metadata"]["name"],
            lambda old: {**old, **wanted},
            self._registry.call(USER),
        )

    def _by_port(self) -> dict[int, list[str]]:
        """A slice has one list of ports for all its addresses."""
        found: dict[int, list[str]] = defaultdict(list)
        for endpoint in self._endpoints:
            found[endpoint.port].append(endpoint.address)
        return found

    def _service(self) -> Object:
        target: Any = self._endpoints[0].port if self._endpoints else HTTPS
        return {
            "metadata": {
                "name": SERVICE_NAME,
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "type": "ClusterIP",
                "clusterIP": self._service_address,
                "ports": [
                    {"name": "https", "protocol": "TCP", "port": HTTPS, "targetPort": target}
                ],
            },
        }


def _slice(name: str, port: int, addresses: list[str]) -> Object:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": SERVICE_NAME}},
        "addressType": "IPv6" if ":" in addresses[0] else "IPv4",
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": True}} for address in sorted(addresses)
        ],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
