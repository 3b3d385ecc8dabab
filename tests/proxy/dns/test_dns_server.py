"""The DNS server on real sockets, asked by dnspython."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from random import Random

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest

from podling.aiokit.ids import random_uuid
from podling.kube import kinds
from podling.kube.client import Client
from podling.kube.informer import InformerFactory
from podling.proxy.dns.dns_server import DnsConfig, DnsServer
from podling.proxy.dns.upstream import Upstream
from podling.simulate.api_server import MemoryApiServer
from tests.proxy.objects import service

TIMEOUT = 15


ADDRESS = "127.1.0.1"
"""No outgoing connection of this machine takes its ports, as it might those of 127.0.0.1."""


def free_port() -> int:
    """A port that is free for UDP and TCP."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            udp.bind((ADDRESS, 0))
            port: int = udp.getsockname()[1]
            with contextlib.suppress(OSError):
                tcp.bind((ADDRESS, port))
                return port


@pytest.fixture
async def client() -> Client:
    client = Client(MemoryApiServer(lambda: 0.0, random_uuid), user_agent="test")
    await client.create(kinds.SERVICE, service(), "default")
    return client


@pytest.fixture
async def informers(client: Client) -> AsyncIterator[InformerFactory]:
    factory = InformerFactory(client, Random(0))
    yield factory
    await factory.stop()


@pytest.fixture
async def server(informers: InformerFactory) -> AsyncIterator[tuple[str, int]]:
    config = DnsConfig(ADDRESS, free_port())
    server = DnsServer(config, informers, Upstream(()))
    await server.start()
    await informers.start()
    await informers.wait_synced()
    yield config.address, config.port
    await server.stop()


async def ask(server: tuple[str, int], name: str, type_: str = "A") -> dns.message.Message:
    query = dns.message.make_query(name, type_)
    return await dns.asyncquery.udp(query, server[0], port=server[1], timeout=TIMEOUT)


async def test_a_service_resolves_to_its_cluster_ip(server: tuple[str, int]) -> None:
    for _ in range(2):  # the second answer comes from the cache, with the second query's id
        response = await ask(server, "web.default.svc.cluster.local")
        assert [str(record) for record in response.answer[0]] == ["127.23.0.9"]


async def test_names_that_do_not_exist_say_so(server: tuple[str, int]) -> None:
    response = await ask(server, "nobody.default.svc.cluster.local")
    assert response.rcode() == dns.rcode.NXDOMAIN
    assert response.authority, "without a SOA nobody may remember the absence"


async def test_tcp_serves_as_well(server: tuple[str, int]) -> None:
    query = dns.message.make_query("web.default.svc.cluster.local", "A")
    response = await dns.asyncquery.tcp(query, server[0], port=server[1], timeout=TIMEOUT)
    assert [str(record) for record in response.answer[0]] == ["127.23.0.9"]


async def test_a_new_service_is_known_when_its_informer_knows_it(
    server: tuple[str, int], client: Client, informers: InformerFactory
) -> None:
    name = "late.default.svc.cluster.local"
    assert (await ask(server, name)).rcode() == dns.rcode.NXDOMAIN
    seen: list[str] = []
    informers.informer(kinds.SERVICE).subscribe(seen.append)
    await client.create(kinds.SERVICE, service("late", "127.23.0.20"), "default")
    while "default/late" not in seen:
        await ask(server, "dns-version.cluster.local", "TXT")
    assert [str(r) for r in (await ask(server, name)).answer[0]] == ["127.23.0.20"]


async def test_without_upstream_servers_other_names_fail_rather_than_hang(
    server: tuple[str, int],
) -> None:
    assert (await ask(server, "example.org")).rcode() == dns.rcode.SERVFAIL


async def test_other_names_are_asked_upstream(
    server: tuple[str, int], informers: InformerFactory
) -> None:
    config = DnsConfig(ADDRESS, free_port(), domain="other.zone")
    front = DnsServer(config, informers, Upstream([server[0]], server[1]))
    await front.start()
    response = await ask((config.address, config.port), "web.default.svc.cluster.local")
    assert [str(record) for record in response.answer[0]] == ["127.23.0.9"]
    await front.stop()


async def test_an_answer_too_large_for_udp_is_cut_and_says_so(
    server: tuple[str, int], client: Client, informers: InformerFactory
) -> None:
    ips = [f"127.23.0.{n}" for n in range(20, 90)]
    seen: list[str] = []
    informers.informer(kinds.SERVICE).subscribe(seen.append)
    await client.create(kinds.SERVICE, service("big", ips[0], clusterIPs=ips), "default")
    while "default/big" not in seen:
        await ask(server, "dns-version.cluster.local", "TXT")
    response = await ask(server, "big.default.svc.cluster.local")
    assert response.flags & dns.flags.TC
    query = dns.message.make_query("big.default.svc.cluster.local", "A")
    whole, by_tcp = await dns.asyncquery.udp_with_fallback(
        query, server[0], port=server[1], timeout=TIMEOUT
    )
    assert by_tcp
    assert len(whole.answer[0]) == len(ips)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x12\x34\x01\x00\x00\x01" + b"\xff" * 20, dns.rcode.FORMERR),
        (b"\x12\x34\x01\x00" + bytes(8), dns.rcode.FORMERR),
        (b"\x12\x34\x28\x00\x00\x01" + bytes(11), dns.rcode.NOTIMP),
    ],
)
async def test_nonsense_gets_an_error_with_its_own_id(
    server: tuple[str, int], data: bytes, code: dns.rcode.Rcode
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(server)
        udp.send(b"\x00")  # not even a header: dropped
        udp.send(data[:2] + b"\x81" + data[3:])  # an answer: dropped
        udp.send(data)
        udp.setblocking(False)
        response = await _receive(udp)
    assert response[:2] == data[:2]
    assert response[3] & 0x0F == code


async def _receive(udp: socket.socket) -> bytes:
    async with asyncio.timeout(TIMEOUT):
        return await asyncio.get_running_loop().sock_recv(udp, 4096)
