"""What every cluster has before anybody asks: system namespaces, and the API server's own Service.

Every server makes what is missing, as soon as the store takes writes, and looks again now and then,
because people delete things. Source: kube-apiserver's controlplane package.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from podling.aiokit.backoff import Backoff
from podling.controlplane.apiserver.registry.registry import Registry
from podling.controlplane.apiserver.request import authn
from podling.controlplane.apiserver.request.authn import User
from podling.controlplane.apiserver.storage.interface import StorageError
from podling.kube import errors
from podling.kube.errors import ApiError
from podling.kube.kinds import NAMESPACE, SERVICE, Kind
from podling.kube.meta import Object

log = logging.getLogger(__name__)

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
NAMESPACE_NAME = "default"
SERVICE_NAME = "kubernetes"
HTTPS = 443
USER = User("system:apiserver", (authn.MASTERS, authn.AUTHENTICATED))


#: Whether an object of that kind, namespace and name is there, as far as is known.
IsThere = Callable[[Kind, str, str], bool]


class Bootstrap:
    """Makes the objects; run it as a task."""

    def __init__(
        self,
        registry: Registry,
        is_there: IsThere,
        service_address: str,
        target_port: int,
        backoff: Backoff,
        *,
        interval: float,
    ) -> None:
        """`target_port`: where API servers listen; `interval`: seconds between two looks."""
        self._registry = registry
        self._is_there = is_there
        self._service_address = service_address
        self._target_port = target_port
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

    async def _create(self, kind: Kind, namespace: str, obj: Object) -> None:
        if self._is_there(kind, namespace, obj["metadata"]["name"]):
            return
        with contextlib.suppress(errors.AlreadyExists):
            await self._registry.create(kind, namespace, obj, self._registry.call(USER))

    def _service(self) -> Object:
        return {
            "metadata": {
                "name": SERVICE_NAME,
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "type": "ClusterIP",
                "clusterIP": self._service_address,
                "ports": [
                    {
                        "name": "https",
                        "protocol": "TCP",
                        "port": HTTPS,
                        "targetPort": self._target_port,
                    }
                ],
            },
        }
