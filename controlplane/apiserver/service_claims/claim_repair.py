"""Makes the claims on service addresses and node ports match the Services, every minute.

A server that dies between claiming an address and storing the Service leaves a claim that nobody
needs; other accidents leave a Service without its claim. Every server looks; compare-and-swap keeps
them out of each other's way.
"""

import asyncio
import logging

import orjson

from podling.controlplane.apiserver.service_claims.node_ports import NodePorts
from podling.controlplane.apiserver.service_claims.service_addresses import (
    Claims,
    ServiceRange,
    address_of,
    claim_key,
)
from podling.controlplane.apiserver.service_claims.service_node_ports import ports_of
from podling.controlplane.apiserver.storage.interface import KeyValue, StorageError
from podling.controlplane.apiserver.watch_cache.watch_cache import WatchCache
from podling.kube import timestamps
from podling.kube.kinds import SERVICE
from podling.kube.meta import Object

log = logging.getLogger(__name__)

PERIOD = 60.0
GRACE = 60.0
"""Seconds that a claim may stand without its Service, which is about to be stored."""


class ClaimRepair:
    """Run it as a task."""

    def __init__(
        self,
        claims: Claims,
        node_ports: NodePorts,
        cache: WatchCache,
        service_range: ServiceRange,
    ) -> None:
        self._claims = claims
        self._node_ports = node_ports
        self._cache = cache
        self._range = service_range
        self._suspects: set[int] = set()
        """Node ports that no Service had when they were last looked at."""

    async def run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.repair()
            except (StorageError, TimeoutError) as error:
                log.warning("service addresses were not checked: %s", error)

    async def repair(self) -> None:
        """One look. Claims are read first: a Service stored later is in the cache by then."""
        claims = await self._claims.all()
        used_ports = await self._node_ports.used()
        await self._cache.refresh(timeout=10.0)
        services = self._services()
        for claim in claims:
            if claim.key not in services and self._is_stale(claim):
                log.warning("freeing a service address that no Service has: %s", claim.key.decode())
                await self._claims.storage.delete(claim.key, expected_revision=claim.mod_revision)
        claimed = {claim.key for claim in claims}
        for key, service in services.items():
            if key not in claimed:
                await self._claims.take(address_of(service), service)
        await self._repair_ports(used_ports)

    async def _repair_ports(self, used: set[int]) -> None:
        """A port without a Service is freed at the second look: one may be about to be stored."""
        wanted: set[int] = set()
        for entry in self._cache.of(SERVICE).snapshot(SERVICE.storage_range()):
            wanted |= ports_of(entry.decode())
        unused = used - wanted
        await self._node_ports.release(unused & self._suspects)
        await self._node_ports.add(wanted - used)
        self._suspects = unused - self._suspects

    def _services(self) -> dict[bytes, Object]:
        """The Services that have an address of the range, by the key of their claim."""
        found = {}
        for entry in self._cache.of(SERVICE).snapshot(SERVICE.storage_range()):
            address = entry.fields.get("spec.clusterIP", "")
            if self._range.holds(address):
                found[claim_key(address)] = entry.decode()
        return found

    def _is_stale(self, claim: KeyValue) -> bool:
        try:
            made = orjson.loads(claim.value)["metadata"]["creationTimestamp"]
            age = self._claims.clock() - timestamps.parse_time(made)
        except (ValueError, KeyError, TypeError):
            return True
        return age > GRACE
