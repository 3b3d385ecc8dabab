"""The sockets of cluster DNS, and its wiring to the API.

Answers of the cluster's zone are kept as bytes, by everything of the query but its id, until the
zone changes: pods ask the same few questions over and over.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import cast

import dns.rcode

from podling.aiokit.tasks import OnDeath, TaskSet
from podling.kube import kinds
from podling.kube.informer import InformerFactory
from podling.proxy.dns import records, wire
from podling.proxy.dns.answers import answer
from podling.proxy.dns.upstream import Upstream, UpstreamError
from podling.proxy.dns.wire import NotAQuery, Query

log = logging.getLogger(__name__)

CACHE_MAX = 10_000
STREAM_IDLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DnsConfig:
    address: str
    port: int
    domain: str = "cluster.local"


class DnsServer:
    """Component: answers for the cluster's zone over UDP and TCP, and forwards the rest."""

    name = "dns"

    def __init__(
        self,
        config: DnsConfig,
        informers: InformerFactory,
        upstream: Upstream,
        on_death: OnDeath | None = None,
    ) -> None:
        self._config = config
        self._services = informers.informer(kinds.SERVICE)
        self._slices = informers.informer(kinds.ENDPOINT_SLICE)
        self._upstream = upstream
        self._zone: records.Zone | None = None
        self._cache: dict[tuple[bytes, bool], bytes] = {}
        self._tasks = TaskSet(self.name, on_death)
        self._udp: asyncio.BaseTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._streams: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Bind; raises OSError. Until the Services are known, queries of the zone are refused."""
        loop = asyncio.get_running_loop()
        address = (self._config.address, self._config.port)
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=address
        )
        self._tcp = await asyncio.start_server(self._serve_stream, *address)
        for informer in (self._services, self._slices):
            informer.subscribe(self._forget)

    async def stop(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for writer in list(self._streams):
            writer.transport.abort()
        await self._tasks.close()

    def respond(self, data: bytes, *, stream: bool) -> bytes | None:
        """The answer that can be given at once; None if upstream has to be asked.

        Raises NotAQuery.
        """
        key = (data[2:], stream)
        known = self._cache.get(key)
        if known is not None:
            return data[:2] + known
        query = wire.decode(data)
        if isinstance(query, bytes):
            return query
        encoded = self._encode(data, query, stream=stream)
        if encoded is not None and self._zone is not None:
            if len(self._cache) >= CACHE_MAX:
                self._cache.clear()
            self._cache[key] = encoded[2:]
        return encoded

    def forward(self, data: bytes, transport: asyncio.DatagramTransport, client: object) -> None:
        """Ask upstream and send what comes to `client`."""

        async def ask() -> None:
            answered = await self._ask_upstream(data)
            if not transport.is_closing():
                transport.sendto(answered, cast(tuple[str, int], client))

        self._tasks.spawn(ask(), name="forward")

    def _encode(self, data: bytes, query: Query, *, stream: bool) -> bytes | None:
        zone = self._current_zone()
        found = answer(query.name, query.type, zone or records.Zone(), self._config.domain)
        if found is None:
            return None
        if zone is None:
            return wire.refusal(data, dns.rcode.SERVFAIL)
        size_max = wire.STREAM_MAX if stream else wire.udp_size(query)
        return wire.encode(query, found, self._config.domain, size_max)

    def _current_zone(self) -> records.Zone | None:
        """The zone, built anew after a change; None while the Services are not known yet."""
        synced = self._services.synced and self._slices.synced
        if self._zone is None and synced:
            self._zone = records.build(self._services.objects(), self._slices.objects())
        return self._zone

    def _forget(self, _: str) -> None:
        self._zone = None
        self._cache.clear()

    async def _ask_upstream(self, data: bytes) -> bytes:
        try:
            return await self._upstream.ask(data)
        except UpstreamError as error:
            log.debug("%s", error)
            return wire.refusal(data, dns.rcode.SERVFAIL)

    async def _serve_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Queries over TCP, each behind its length (RFC 1035, section 4.2.2)."""
        self._streams.add(writer)
        try:
            while True:
                async with asyncio.timeout(STREAM_IDLE_SECONDS):
                    length = int.from_bytes(await reader.readexactly(2))
                    data = await reader.readexactly(length)
                    answered = self.respond(data, stream=True)
                    if answered is None:
                        answered = await self._ask_upstream(data)
                    writer.write(len(answered).to_bytes(2) + answered)
                    await writer.drain()
        except (NotAQuery, TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # whoever is silent, gone or talks nonsense is hung up on
        finally:
            self._streams.discard(writer)
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        assert self._transport is not None
        try:
            answered = self._server.respond(data, stream=False)
        except NotAQuery:
            return
        if answered is None:
            self._server.forward(data, self._transport, addr)
        else:
            self._transport.sendto(answered, cast(tuple[str, int], addr))
