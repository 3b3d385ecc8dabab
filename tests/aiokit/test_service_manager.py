"""A service manager hears when a process serves, and when it stops."""

import socket
from pathlib import Path

import pytest

from podling.aiokit.service_manager import ServiceNotice


@pytest.mark.parametrize("abstract", [False, True])
async def test_a_service_manager_is_told(tmp_path: Path, abstract: bool) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + path if abstract else path)
        manager.setblocking(False)
        notice = ServiceNotice("@" + path if abstract else path)
        await notice.start()
        assert manager.recv(100) == b"READY=1"
        await notice.stop()
        assert manager.recv(100) == b"STOPPING=1"


async def test_without_one_nothing_happens(tmp_path: Path) -> None:
    for address in ("", str(tmp_path / "nobody")):
        notice = ServiceNotice(address)
        await notice.start()
        await notice.stop()
