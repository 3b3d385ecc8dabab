"""Asks a container one question: an HTTP request, a TCP connection, a command, a gRPC call.

Probes and lifecycle hooks are described alike and share this file. Nothing is decided here: a
result is yes or no, with a text for people.
"""

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from podling.kube.meta import Object
from podling.node.kubelet.cri.runtime_client import RuntimeCallError, RuntimeClient
from podling.node.kubelet.planning import pod_spec

USER_AGENT: Final = "kube-probe/1.37"
OUTPUT_LIMIT: Final = 10 * 1024
"""Bytes of a body or an output that are read and shown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question."""

    success: bool
    output: str


@dataclass(frozen=True, slots=True)
class Target:
    """The container that is asked."""

    container_id: str
    spec: Object
    """Its part of the pod's spec, for the names of its ports."""
    address: str
    """The pod's address."""


class Prober:
    """A component: holds the HTTP session."""

    name = "prober"

    def __init__(self, runtime: RuntimeClient) -> None:
        self._runtime = runtime
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        # Certificates are not checked, as upstream: the question is whether somebody is there.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=context, limit=0, force_close=True)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, question: Object, target: Target, timeout: float) -> Answer:
        """Put `question` (a Probe, or a handler of a hook) to `target`; never raises."""
        try:
            async with asyncio.timeout(timeout):
                if "exec" in question:
                    return await self._execute(question["exec"], target, timeout)
                if "httpGet" in question:
                    return await self._http(question["httpGet"], target)
                if "tcpSocket" in question:
                    return await _tcp(question["tcpSocket"], target)
                if "grpc" in question:
                    return await _grpc(question["grpc"], target)
                if "sleep" in question:
                    await asyncio.sleep(question["sleep"].get("seconds", 0))
                    return Answer(True, "")
        except TimeoutError:
            return Answer(False, f"no answer within {timeout:g}s")
        except aiohttp.ClientConnectorError as error:
            return _refused(error.host, error.port, error.os_error)
        except (OSError, ValueError, aiohttp.ClientError, RuntimeCallError) as error:
            return Answer(False, str(error) or type(error).__name__)
        except grpc.aio.AioRpcError as error:
            return Answer(False, f"{error.code().name}: {error.details()}")
        return Answer(False, "a probe must be one of exec, httpGet, tcpSocket and grpc")

    async def _execute(self, action: Object, target: Target, timeout: float) -> Answer:
        command = action.get("command") or []
        code, output = await self._runtime.execute(target.container_id, command, timeout)
        text = output[:OUTPUT_LIMIT].decode(errors="replace")
        return Answer(code == 0, text if code == 0 or text else f"exit code {code}")

    async def _http(self, action: Object, target: Target) -> Answer:
        if self._session is None:
            raise ValueError("the prober has not been started")
        url = http_url(action, target)
        async with self._session.get(
            url, headers=_headers(action), allow_redirects=False
        ) as response:
            body = await response.content.read(OUTPUT_LIMIT)
            if 200 <= response.status < 400:
                return Answer(True, body.decode(errors="replace"))
            return Answer(False, f"HTTP probe failed with statuscode: {response.status}")


def http_url(action: Object, target: Target) -> str:
    """The URL of an `httpGet`; ValueError if its port has no number."""
    host = action.get("host") or target.address
    host = f"[{host}]" if ":" in host else host
    port = pod_spec.port_number(target.spec, action["port"])
    path = action.get("path") or "/"
    separator = "" if path.startswith("/") else "/"
    return f"{action.get('scheme', 'HTTP').lower()}://{host}:{port}{separator}{path}"


def _headers(action: Object) -> Mapping[str, str]:
    given = {entry["name"]: entry["value"] for entry in action.get("httpHeaders") or []}
    return {"User-Agent": USER_AGENT, "Accept": "*/*", **given}


async def _tcp(action: Object, target: Target) -> Answer:
    host = action.get("host") or target.address
    port = pod_spec.port_number(target.spec, action["port"])
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return _refused(host, port, error)
    writer.close()
    return Answer(True, "")


def _refused(host: str, port: int | None, error: OSError) -> Answer:
    """In the words that people look for: those of the system, not of an HTTP library."""
    known = error.errno is not None and error.errno > 0
    reason = os.strerror(error.errno or 0).lower() if known else str(error)
    return Answer(False, f"dial tcp {host}:{port}: connect: {reason}")


async def _grpc(action: Object, target: Target) -> Answer:
    request = health_pb2.HealthCheckRequest(service=action.get("service") or "")
    async with grpc.aio.insecure_channel(f"{target.address}:{action['port']}") as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(request)
    serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    return Answer(serving, f"service is {answer.ServingStatus.Name(answer.status)}")
