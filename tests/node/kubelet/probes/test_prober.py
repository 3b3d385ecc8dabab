"""Every kind of question, put to real servers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from podling.aiokit.clock import system_wall_clock
from podling.node.kubelet.cri.runtime_client import RuntimeClient
from podling.node.kubelet.probes.prober import Prober, Target, http_url
from tests.node.kubelet.builders import container_spec

LIMIT = 15.0


@pytest.fixture
async def prober(tmp_path: Path) -> AsyncIterator[Prober]:
    runtime = RuntimeClient(str(tmp_path / "none.sock"), system_wall_clock, call_timeout=0.2)
    made = Prober(runtime)
    await made.start()
    yield made
    await made.stop()
    await runtime.close()


def target(port: int = 0) -> Target:
    spec = container_spec(ports=[{"name": "http", "containerPort": port}])
    return Target("id", spec, "127.0.0.1")


@pytest.fixture
async def web_port() -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("User-Agent") != "kube-probe/1.37":
            return web.Response(status=418)
        if request.path == "/slow":
            await asyncio.sleep(60)
        status = int(request.query.get("status", "200"))
        return web.Response(status=status, text=request.headers.get("X-Test", "body"))

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize(("status", "good"), [(200, True), (302, True), (404, False), (500, False)])
async def test_an_http_status_decides(
    prober: Prober, web_port: int, status: int, good: bool
) -> None:
    question = {"httpGet": {"port": web_port, "path": f"/?status={status}"}}
    answer = await prober.ask(question, target(), LIMIT)
    assert answer.success is good
    if not good:
        assert answer.output == f"HTTP probe failed with statuscode: {status}"


async def test_a_port_may_be_named_and_headers_given(prober: Prober, web_port: int) -> None:
    headers = [{"name": "X-Test", "value": "seen"}]
    question = {"httpGet": {"port": "http", "httpHeaders": headers}}
    answer = await prober.ask(question, target(web_port), LIMIT)
    assert (answer.success, answer.output) == (True, "seen")


async def test_who_does_not_answer_in_time_has_failed(prober: Prober, web_port: int) -> None:
    question = {"httpGet": {"port": web_port, "path": "/slow"}}
    answer = await prober.ask(question, target(), 0.05)
    assert (answer.success, answer.output) == (False, "no answer within 0.05s")


async def test_where_nobody_listens_a_probe_fails_and_says_so(
    prober: Prober, web_port: int
) -> None:
    assert (await prober.ask({"tcpSocket": {"port": web_port}}, target(), LIMIT)).success
    refused = "dial tcp 127.0.0.1:1: connect: connection refused"
    for question in ({"tcpSocket": {"port": 1}}, {"httpGet": {"port": 1}}):
        answer = await prober.ask(question, target(), LIMIT)
        assert (answer.success, answer.output) == (False, refused)


async def test_grpc_asks_the_health_service(prober: Prober) -> None:
    server = grpc.aio.server()
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        question = {"grpc": {"port": port}}
        assert (await prober.ask(question, target(), LIMIT)).success
        await servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        answer = await prober.ask(question, target(), LIMIT)
        assert (answer.success, answer.output) == (False, "service is NOT_SERVING")
    finally:
        await server.stop(None)


async def test_a_command_whose_runtime_is_away_has_failed(prober: Prober) -> None:
    assert not (await prober.ask({"exec": {"command": ["true"]}}, target(), LIMIT)).success


async def test_nonsense_is_a_failure_too(prober: Prober) -> None:
    assert not (await prober.ask({}, target(), LIMIT)).success
    unknown = await prober.ask({"httpGet": {"port": "nope"}}, target(), LIMIT)
    assert unknown.output == 'container "app" has no port named "nope"'


def test_urls_are_put_together() -> None:
    assert http_url({"port": 80}, target()) == "http://127.0.0.1:80/"
    there = Target("id", container_spec(), "fd00::1")
    action = {"port": 443, "path": "healthz", "scheme": "HTTPS"}
    assert http_url(action, there) == "https://[fd00::1]:443/healthz"
