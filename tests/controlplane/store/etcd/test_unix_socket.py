"""Serving clients at a socket in the file system."""

import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import grpc.aio
import pytest

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.apiserver.storage.etcd_endpoints import EtcdConfig, EtcdEndpoints
from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store.etcd import unix_socket
from podling.controlplane.store.etcd.grpc_listener import GrpcListener, ListenerConfig
from podling.controlplane.store.etcd.server_certificate import ServerCertificate
from podling.controlplane.wal.disk import OsDisk
from podling.launcher.certificates import Authority, Subject
from podling.launcher.store import snapshot_download
from podling.launcher.store.snapshot_download import Endpoint
from tests.controlplane.store.etcd.clients import Client
from tests.controlplane.store.etcd.etcdctl import etcdctl, needs_etcdctl
from tests.controlplane.store.members import CLUSTER, PATIENCE, Members


@asynccontextmanager
async def listening(
    members: Members, path: Path, tls: ServerCertificate | None = None
) -> AsyncIterator[str]:
    """The address of a member that serves clients at `path`."""
    (server,) = members.servers or await members.start(1)
    address = f"unix:{quote(str(path))}"
    listener = GrpcListener(ListenerConfig(address, CLUSTER, 1, tls), server.store)
    await listener.start()
    try:
        yield address
    finally:
        await listener.stop()


async def put(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        await Client(channel).kv.Put(rpc_pb2.PutRequest(key=b"a"), timeout=PATIENCE)


def left_by_a_dead_process(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


async def test_it_is_served_and_gone_in_the_end(members: Members, tmp_path: Path) -> None:
    path = tmp_path / "a socket"
    async with listening(members, path) as address:
        await put(address)
    with pytest.raises(FileNotFoundError):
        path.lstat()


async def test_it_is_for_its_user_alone(members: Members, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with listening(members, tmp_path / "s"):
            assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
        assert os.umask(0) == 0
    finally:
        os.umask(before)


async def test_one_that_a_dead_process_has_left_is_removed(
    members: Members, tmp_path: Path
) -> None:
    left_by_a_dead_process(tmp_path / "s")
    async with listening(members, tmp_path / "s") as address:
        await put(address)


async def test_one_where_somebody_listens_is_refused(members: Members, tmp_path: Path) -> None:
    async with listening(members, tmp_path / "s") as address:
        with pytest.raises(OSError, match=r"cannot listen for clients on .*another process"):
            async with listening(members, tmp_path / "s"):
                pass
        await put(address)


def test_one_whose_process_is_too_busy_to_answer_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as caller:
        busy.bind(str(tmp_path / "s"))
        busy.listen(0)
        caller.connect(str(tmp_path / "s"))
        with pytest.raises(OSError, match="another process"), unix_socket.private(tmp_path / "s"):
            pass
    assert (tmp_path / "s").is_socket()


async def test_what_is_no_place_for_a_socket_is_refused(members: Members, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for place, words in (
        (tmp_path / "file", "no socket"),
        (tmp_path, "no socket"),
        (tmp_path / "none" / "s", "No such file or directory"),
        (tmp_path / "file" / "s", "Not a directory"),
        (tmp_path / ("s" * 108), "too long"),
    ):
        with pytest.raises(OSError, match=words) as refused:
            async with listening(members, place):
                pass
        assert "cannot listen for clients on unix:" in str(refused.value)
    assert (tmp_path / "file").read_text() == "precious"


async def test_with_tls_it_is_localhost(members: Members, tmp_path: Path) -> None:
    authority = Authority.create("a", system_wall_clock)
    certificate, key = tmp_path / "s.crt", tmp_path / "s.key"
    authority.issue(Subject("s", (), [], ["localhost"]), certificate, key)
    tls = ServerCertificate(certificate, key, None)
    (tmp_path / "a.crt").write_bytes(authority.pem)
    async with listening(members, tmp_path / "s", tls) as address:
        endpoint = Endpoint(address, secure=True, authority=tmp_path / "a.crt")
        assert await snapshot_download.download(OsDisk(), endpoint, tmp_path / "saved", 10)
        etcd = EtcdEndpoints(EtcdConfig([address], secure=True, root_certificates=authority.pem))
        etcd.start()
        put = rpc_pb2.PutRequest(key=b"a")
        await etcd.write(lambda member: member.kv.Put(put, timeout=PATIENCE))
        await etcd.stop()


@needs_etcdctl
async def test_etcdctl_comes_in(members: Members, tmp_path: Path) -> None:
    async with listening(members, tmp_path / "s"):
        endpoint = f"unix://{tmp_path / 's'}"
        assert await etcdctl(endpoint, "put", "a", "1") == "OK\n"
        assert await etcdctl(endpoint, "get", "a") == "a\n1\n"
        assert endpoint in await etcdctl(endpoint, "endpoint", "status")
