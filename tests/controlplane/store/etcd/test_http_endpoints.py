"""Probes over HTTP: well, and unwell for each reason."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.store import auth_requests
from podling.controlplane.store import requests as rq
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.etcd.http_endpoints import HttpConfig, HttpEndpoints
from podling.controlplane.store.etcd.server_certificate import ServerCertificate
from podling.controlplane.store.store import Store
from podling.launcher.certificates import Authority, Subject
from tests.controlplane.store.members import QUICK, Members
from tests.waiting import until

#: Status and body.
Answer = tuple[int, str]


class Probe:
    """Asks one member."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def get(self, path: str) -> Answer:
        async with self._session.get(self._base + path) as response:
            return response.status, await response.text()


@asynccontextmanager
async def probing(store: Store) -> AsyncIterator[Probe]:
    registry = CollectorRegistry()
    Gauge("answer", "Of everything.", registry=registry).set(42)
    endpoints = HttpEndpoints(HttpConfig("127.0.0.1:0"), store, registry)
    await endpoints.start()
    async with aiohttp.ClientSession() as session:
        yield Probe(session, f"http://127.0.0.1:{endpoints.port}")
    await endpoints.stop()


@pytest.fixture
async def probe(member: Store) -> AsyncIterator[Probe]:
    async with probing(member) as probe:
        yield probe


async def test_a_member_that_is_well_says_so(probe: Probe) -> None:
    assert await probe.get("/health") == (200, '{"health":"true","reason":""}')
    for path in ("/livez", "/readyz", "/readyz/linearizable_read", "/livez/serializable_read"):
        assert await probe.get(path) == (200, "ok\n")


async def test_checks_are_listed_and_left_out_on_request(probe: Probe) -> None:
    assert await probe.get("/readyz?verbose") == (
        200,
        "[+]data_corruption ok\n[+]linearizable_read ok\n[+]non_learner ok\n"
        "[+]serializable_read ok\nok\n",
    )
    assert await probe.get("/readyz?verbose&exclude=non_learner&exclude=linearizable_read") == (
        200, "[+]data_corruption ok\n[+]serializable_read ok\nok\n"
    )  # fmt: skip
    assert await probe.get("/livez?verbose") == (200, "[+]serializable_read ok\nok\n")


async def test_version_and_metrics(probe: Probe) -> None:
    version = '{"etcdserver":"3.6.0","etcdcluster":"3.6.0","storage":"3.6.0"}'
    assert await probe.get("/version") == (200, version)
    status, text = await probe.get("/metrics")
    assert status == 200
    assert "answer 42.0" in text


async def test_what_is_not_there_and_what_is_not_asked_for(probe: Probe) -> None:
    assert (await probe.get("/elsewhere"))[0] == 404
    async with probe._session.post(probe._base + "/health", data=b"x" * 5000) as response:
        assert response.status == 405


async def test_without_a_leader_it_lives_and_is_not_ready(members: Members) -> None:
    config = StoreConfig(request_timeout=0.3, min_lease_ttl=1)
    first, *others = await members.start(3, config, election_timeout=QUICK)
    async with probing(first.store) as probe:
        for each in others:
            await members.stop(each)
        await until(lambda: not first.store.members.leader, "it knows that nobody leads")
        status, text = await probe.get("/readyz")
        assert status == 503
        assert "[-]linearizable_read failed: etcdserver: no leader\n" in text
        assert "[+]serializable_read ok\n" in text
        assert await probe.get("/health") == (503, '{"health":"false","reason":"RAFT NO LEADER"}')
        assert await probe.get("/livez") == (200, "ok\n")
        assert (await probe.get("/health?serializable=true"))[0] == 200
        assert (await probe.get("/readyz?exclude=linearizable_read"))[0] == 200


async def raise_alarm(members: Members, kind: rq.AlarmType) -> Store:
    (server,) = await members.start(1)
    await members.upgraded()
    alarm = rq.AlarmRequest(rq.AlarmAction.ACTIVATE, 1, kind)
    await server.store.alarms.handle(alarm)
    return server.store


async def test_a_full_store_is_not_healthy_and_yet_ready(members: Members) -> None:
    """Restarting it would not help, and it still serves reads and deletes."""
    async with probing(await raise_alarm(members, rq.AlarmType.NOSPACE)) as probe:
        assert await probe.get("/health") == (503, '{"health":"false","reason":"ALARM NOSPACE"}')
        assert (await probe.get("/health?exclude=NOSPACE"))[0] == 200
        assert await probe.get("/livez") == (200, "ok\n")
        assert await probe.get("/readyz") == (200, "ok\n")


async def test_a_corrupt_store_is_not_ready(members: Members) -> None:
    async with probing(await raise_alarm(members, rq.AlarmType.CORRUPT)) as probe:
        assert await probe.get("/health") == (503, '{"health":"false","reason":"ALARM CORRUPT"}')
        status, text = await probe.get("/readyz")
        assert status == 503
        assert "[-]data_corruption failed: alarm activated: CORRUPT\n" in text


async def test_probes_need_no_password(members: Members) -> None:
    (server,) = await members.start(1)
    await members.upgraded()
    auth = server.store.auth
    await auth.user_add("root", "secret")
    await auth.change(auth_requests.RoleAddRequest("root"))
    await auth.change(auth_requests.UserGrantRoleRequest("root", "root"))
    await auth.change(auth_requests.AuthEnableRequest())
    async with probing(server.store) as probe:
        for path in ("/health", "/livez", "/readyz"):
            assert (await probe.get(path))[0] == 200


def issue(folder: Path) -> None:
    """Certificates of an authority that was not there before."""
    authority = Authority.create("ours", system_wall_clock)
    authority.save(folder / "ca.crt", folder / "ca.key")
    subject = Subject("server", addresses=["127.0.0.1"])
    authority.issue(subject, folder / "server.crt", folder / "server.key")


async def test_with_a_certificate_it_speaks_tls(member: Store, tmp_path: Path) -> None:
    tls = ServerCertificate(tmp_path / "server.crt", tmp_path / "server.key", tmp_path / "ca.crt")
    issue(tmp_path)
    endpoints = HttpEndpoints(HttpConfig("127.0.0.1:0", tls), member, CollectorRegistry())
    await endpoints.start()

    async def probe(*, known: bool) -> int:
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
        if known:
            context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
        url = f"https://127.0.0.1:{endpoints.port}/livez"
        async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as response:
            return response.status

    assert await probe(known=True) == 200
    with pytest.raises(aiohttp.ClientError):
        await probe(known=False)
    issue(tmp_path)
    assert await probe(known=True) == 200
    with pytest.raises(aiohttp.ClientError):
        await probe(known=False)
    await endpoints.stop()


async def test_an_address_in_use_is_named(member: Store) -> None:
    first = HttpEndpoints(HttpConfig("127.0.0.1:0"), member, CollectorRegistry())
    await first.start()
    address = f"127.0.0.1:{first.port}"
    second = HttpEndpoints(HttpConfig(address), member, CollectorRegistry())
    with pytest.raises(OSError, match=address):
        await second.start()
    await first.stop()
