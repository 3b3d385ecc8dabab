"""Asks node agents for logs over their HTTPS interface, as the cluster's own client."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import aiohttp

from podling.controlplane.apiserver.rest.logs import LogStream, NodeAddress

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""How long a node agent may take to begin its answer; a log that is followed has no end."""


@dataclass(frozen=True, slots=True)
class KubeletClientFiles:
    """Paths of PEM files."""

    certificate: str
    key: str
    ca: str
    """Signs the certificates of node agents."""


def client_context(files: KubeletClientFiles) -> ssl.SSLContext:
    """Raises OSError. Node agents are known by the address in their certificate."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=files.ca)
    context.load_cert_chain(files.certificate, files.key)
    return context


class KubeletLogs:
    """Component and `logs.NodeLogs`."""

    name = "kubelet-client"

    def __init__(self, files: KubeletClientFiles | None) -> None:
        self._files = files
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        context = client_context(self._files) if self._files else None
        connector = aiohttp.TCPConnector(ssl=context if context else True, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=None)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def open(
        self, address: NodeAddress, path: str, query: Mapping[str, str]
    ) -> AbstractAsyncContextManager[LogStream]:
        return self._open(address, path, query)

    @asynccontextmanager
    async def _open(
        self, address: NodeAddress, path: str, query: Mapping[str, str]
    ) -> AsyncIterator[LogStream]:
        if self._session is None:
            raise OSError("the client of node agents is not running")
        scheme = "https" if self._files else "http"
        host = f"[{address.host}]" if ":" in address.host else address.host
        url = f"{scheme}://{host}:{address.port}{path}"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                response = await self._session.get(url, params=dict(query))
        except TimeoutError:
            text = f"{host}:{address.port} did not answer within {ANSWER_SECONDS:g} s"
            raise OSError(text) from None
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error
        async with response:
            yield _HttpLog(response)


class _HttpLog:
    """Implements `logs.LogStream`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self._response = response

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error
