"""Gives every Service an address of its own, also when several servers hand them out at once.

A claim on an address is a key of the store that can be created once: an IPAddress object, as
kube-apiserver has kept them since 1.33. It is made before the Service is stored and taken back if
that fails. What is left behind when a server dies in between is found by `ClaimRepair`.

    service range 127.5.0.0/18
    127.5.0.1               the service `kubernetes`
    127.5.0.2 - .0.255      only for who asks for one of them (cluster DNS is 127.5.0.10)
    127.5.1.0 - .63.254     drawn from
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import orjson

from podling.aiokit.clock import WallClock
from podling.aiokit.ids import IdSource
from podling.controlplane.apiserver.registry.write_hooks import Nothing, Reservation
from podling.controlplane.apiserver.storage.interface import KeyValue, Storage
from podling.kube import errors, meta, timestamps
from podling.kube.errors import FieldError
from podling.kube.kinds import SERVICE
from podling.kube.meta import Object

CLAIMS = b"/registry/ipaddresses/"
HEADLESS = "None"
DRAWS = 16
"""Addresses that are tried before all claims are read."""

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class ServiceRange:
    """The addresses of Services."""

    network: IpNetwork

    @property
    def kubernetes(self) -> str:
        """The first address, which belongs to the API server itself."""
        return str(self.network[1])

    @property
    def first_drawn(self) -> int:
        """Offset of the first address that is handed out unasked (upstream's static band)."""
        return min(max(16, self.network.num_addresses // 16), 256)

    @property
    def end(self) -> int:
        """Offset after the last address; an IPv4 network's very last is its broadcast."""
        size = self.network.num_addresses
        return size - 1 if self.network.version == 4 else min(size, 1 << 20)

    def holds(self, address: str) -> bool:
        try:
            offset = int(ipaddress.ip_address(address)) - int(self.network.network_address)
        except ValueError:
            return False
        return 0 < offset < self.end


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims in the store."""

    storage: Storage
    clock: WallClock
    ids: IdSource

    async def take(self, address: str, service: Object) -> KeyValue | None:
        """Claim an address; if somebody has it already, their claim."""
        value = orjson.dumps(self._claim(address, service))
        result = await self.storage.put(claim_key(address), value, expected_revision=0)
        return None if result.succeeded else result.current

    async def release(self, address: str, service: Object) -> None:
        """Give an address back, if it is this service's."""
        found = (await self.storage.get(claim_key(address))).kv
        if found is not None and parent(found) == meta.key(service):
            await self.storage.delete(found.key, expected_revision=found.mod_revision)

    async def all(self) -> list[KeyValue]:
        return list((await self.storage.list(CLAIMS, CLAIMS[:-1] + b"0")).kvs)

    def _claim(self, address: str, service: Object) -> Object:
        family = f"IPv{ipaddress.ip_address(address).version}"
        return {
            "kind": "IPAddress",
            "apiVersion": "networking.k8s.io/v1",
            "metadata": {
                "name": address,
                "uid": self.ids(),
                "creationTimestamp": timestamps.format_time(self.clock()),
                "labels": {
                    "ipaddress.kubernetes.io/ip-family": family,
                    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                },
            },
            "spec": {
                "parentRef": {
                    "group": "",
                    "resource": SERVICE.plural,
                    "namespace": meta.namespace(service),
                    "name": meta.name(service),
                }
            },
        }


def claim_key(address: str) -> bytes:
    return CLAIMS + address.encode()


def parent(claim: KeyValue) -> str:
    """Whose claim it is, as namespace/name; empty if that cannot be read."""
    try:
        reference = orjson.loads(claim.value)["spec"]["parentRef"]
        return f"{reference['namespace']}/{reference['name']}"
    except (ValueError, KeyError, TypeError):
        return ""


def address_of(service: Object | None) -> str:
    """The cluster address of a Service; empty if it has none."""
    spec = (service or {}).get("spec") or {}
    address = spec.get("clusterIP") or ""
    return "" if address == HEADLESS or spec.get("type") == "ExternalName" else str(address)


class ServiceAddresses:
    """Implements write_hooks.WriteHook for Services."""

    def __init__(self, claims: Claims, service_range: ServiceRange, dice: Random) -> None:
        self._claims = claims
        self._range = service_range
        self._dice = dice

    async def reserve(self, new: Object, old: Object | None, *, dry_run: bool) -> Reservation:
        """Takes what `new` asks for, or any free address if it leaves that open."""
        spec = new["spec"]
        if spec.get("type") == "ExternalName" or spec.get("clusterIP") == HEADLESS:
            return _Taken(self._claims, new, "", address_of(old))
        wanted, had = address_of(new), address_of(old)
        if wanted and wanted == had:
            return Nothing()
        if dry_run:
            return Nothing()
        address = wanted or await self._draw(new)
        mine = not wanted or await self._take(wanted, new)
        spec["clusterIP"], spec["clusterIPs"] = address, [address]
        return _Taken(self._claims, new, address if mine else "", had)

    async def released(self, old: Object) -> None:
        address = address_of(old)
        if address:
            await self._claims.release(address, old)

    async def _take(self, address: str, service: Object) -> bool:
        """False if the service has a claim on it already, which then is not this write's.

        It is left from a creation whose end nobody saw, or somebody creates the same right now.
        """
        if not self._range.holds(address):
            raise _invalid(
                service,
                address,
                f"failed to allocate IP {address}: the provided IP is not in the valid range. "
                f"The range of valid IPs is {self._range.network}",
            )
        claim = await self._claims.take(address, service)
        if claim is not None and parent(claim) != meta.key(service):
            raise _invalid(
                service,
                address,
                f"failed to allocate IP {address}: the provided IP is already allocated",
            )
        return claim is None

    async def _draw(self, service: Object) -> str:
        for address in self._candidates():
            if await self._claims.take(address, service) is None:
                return address
        taken = {claim.key for claim in await self._claims.all()}
        network = self._range.network
        for offset in (*range(self._range.first_drawn, self._range.end),
                       *range(2, self._range.first_drawn)):  # fmt: skip
            address = str(network[offset])
            free = claim_key(address) not in taken
            if free and await self._claims.take(address, service) is None:
                return address
        raise errors.InternalError(
            f"failed to allocate a serviceIP: the range {self._range.network} is full"
        )

    def _candidates(self) -> Iterator[str]:
        if self._range.first_drawn < self._range.end:
            for _ in range(DRAWS):
                offset = self._dice.randrange(self._range.first_drawn, self._range.end)
                yield str(self._range.network[offset])


class _Taken:
    """The reservation of one address, and of the one that is free once the write is done."""

    def __init__(self, claims: Claims, service: Object, taken: str, had: str) -> None:
        self._claims = claims
        self._service = service
        self._taken = taken
        self._had = had

    async def keep(self) -> None:
        if self._had:
            await self._claims.release(self._had, self._service)

    async def give_back(self) -> None:
        if self._taken:
            await self._claims.release(self._taken, self._service)


def _invalid(service: Object, address: str, detail: str) -> errors.Invalid:
    wrong = FieldError.invalid("spec.clusterIPs", [address], detail)
    return errors.Invalid(kind=SERVICE, name=meta.name(service), errors=[wrong])
