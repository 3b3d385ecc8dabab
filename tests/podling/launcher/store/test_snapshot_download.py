"""What a member streams, saved to a file: over real gRPC."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.store.etcd.server_certificate import ServerCertificate
from podling.controlplane.store.offline import saved_snapshot
from podling.controlplane.store.requests import PutRequest
from podling.controlplane.wal.disk import OsDisk
from podling.launcher.certificates import Authority, Subject
from podling.launcher.store import snapshot_download
from podling.launcher.store.snapshot_download import DownloadError, Endpoint
from tests.controlplane.store.members import Members
from tests.ports import free_ports

DISK = OsDisk()


@pytest.fixture
async def members(tmp_path: Path) -> AsyncIterator[Members]:
    cluster = Members(tmp_path)
    yield cluster
    for server in list(cluster.servers):
        await cluster.stop(server)


async def test_the_state_of_a_member_is_saved(members: Members, tmp_path: Path) -> None:
    (server,) = await members.start(1, listen=True)
    for number in range(50):
        await server.store.put(PutRequest(b"key-%d" % number, b"v" * 10_000))
    endpoint = Endpoint(members.endpoint(server), secure=False)
    path = tmp_path / "saved"
    size = await snapshot_download.download(DISK, endpoint, path, 60)

    assert size == path.stat().st_size > 500_000
    status = saved_snapshot.status(DISK, path)
    assert (status.revision, status.total_key) == (51, 50)


async def test_over_tls_both_sides_show_who_they_are(members: Members, tmp_path: Path) -> None:
    authority = Authority.create("ours", system_wall_clock)
    authority.save(tmp_path / "ca.crt", tmp_path / "ca.key")
    for name in ("server", "client"):
        subject = Subject(name, addresses=["127.0.0.1"])
        authority.issue(subject, tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
    ca = tmp_path / "ca.crt"
    tls = ServerCertificate(tmp_path / "server.crt", tmp_path / "server.key", ca)
    (server,) = await members.start(1, listen=True, tls=tls)
    address = members.endpoint(server)
    known = Endpoint(address, True, ca, tmp_path / "client.crt", tmp_path / "client.key")
    assert await snapshot_download.download(DISK, known, tmp_path / "saved", 60) > 0

    for stranger in (Endpoint(address, True, ca), Endpoint(address, secure=False)):
        with pytest.raises(DownloadError, match="did not"):
            await snapshot_download.download(DISK, stranger, tmp_path / "other", 2)
    assert not DISK.exists(tmp_path / "other")


async def test_a_user_that_cannot_log_in_is_told(members: Members, tmp_path: Path) -> None:
    (server,) = await members.start(1, listen=True)
    endpoint = Endpoint(members.endpoint(server), secure=False, user="root", password="guess")

    with pytest.raises(DownloadError, match="authentication is not enabled"):
        await snapshot_download.download(DISK, endpoint, tmp_path / "saved", 60)
    assert not DISK.exists(tmp_path / "saved")


async def test_nobody_answers(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with pytest.raises(DownloadError, match=f"127.0.0.1:{port} did not give its state"):
        await snapshot_download.download(
            DISK, Endpoint(f"127.0.0.1:{port}", secure=False), tmp_path / "saved", 5
        )
    assert DISK.list_files(tmp_path) == []


async def test_something_else_answers(tmp_path: Path) -> None:
    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DownloadError, match="did not"):
            await snapshot_download.download(
                DISK, Endpoint(f"127.0.0.1:{port}", secure=False), tmp_path / "saved", 0.5
            )
    assert DISK.list_files(tmp_path) == []


def test_a_password_is_not_shown() -> None:
    endpoint = Endpoint("127.0.0.1:2379", secure=False, user="root", password="geheim")
    assert "geheim" not in repr(endpoint)
