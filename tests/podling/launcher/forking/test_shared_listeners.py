"""Proxies of several nodes share one listener, through a real fork server."""

import asyncio
import errno
import socket

import pytest

from podling.launcher.forking.shared_listeners import SharedListeners
from podling.launcher.layout import Layout
from podling.proxy.services.routing_table import Frontend
from tests.podling.launcher.forking.test_fork_server import OWN, address, layout

__all__ = ["address", "layout"]


async def test_two_proxies_accept_from_the_same_socket(
    layout: Layout, address: tuple[str, int]
) -> None:
    sources = [SharedListeners(layout.root / layout.socket("forkserver")) for _ in range(2)]
    with socket.create_server((OWN, 0)) as free:
        frontend = Frontend(*free.getsockname())
    first, second = [await source.listen(frontend) for source in sources]
    first.close()
    loop = asyncio.get_running_loop()
    with socket.create_connection(frontend, timeout=30), second:
        async with asyncio.timeout(15):
            accepted, _ = await loop.sock_accept(second)
        accepted.close()
    await sources[0].release(frontend)


async def test_an_address_that_cannot_be_bound_is_told_with_its_errno(
    layout: Layout, address: tuple[str, int]
) -> None:
    source = SharedListeners(layout.root / layout.socket("forkserver"))
    with pytest.raises(OSError, match="in use") as raised:
        await source.listen(Frontend(*address))
    assert raised.value.errno == errno.EADDRINUSE


async def test_without_a_fork_server_every_proxy_listens_itself(layout: Layout) -> None:
    sources = [SharedListeners(layout.root / layout.socket("forkserver")) for _ in range(2)]
    with socket.create_server((OWN, 0)) as free:
        frontend = Frontend(*free.getsockname())
    first, second = [await source.listen(frontend) for source in sources]
    with first, second, socket.create_connection(frontend, timeout=30):
        await sources[0].release(frontend)
