"""Who calls over gRPC: let in by certificate, known by its name or by a token."""

from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio
import pytest

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.etcdpb import auth_pb2, auth_pb2_grpc, rpc_pb2
from podling.controlplane.store import auth_requests
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.etcd.server_certificate import ServerCertificate
from podling.controlplane.store.store import Store
from podling.launcher.certificates import Authority, Subject
from tests.controlplane.store.etcd.clients import Client, refusal
from tests.controlplane.store.members import Members

#: Opens a channel for who has the certificate of that name; for who has none, if it is empty.
Channels = Callable[[str], grpc.aio.Channel]

CONFIG = StoreConfig(min_lease_ttl=1, housekeeping_interval=0.05, bcrypt_cost=4)


@pytest.fixture
async def store(members: Members, tmp_path: Path) -> Store:
    """A member that wants certificates; there are those of a client and of a stranger."""
    ours, theirs = (Authority.create(name, system_wall_clock) for name in ("ours", "theirs"))
    ours.save(tmp_path / "ca.crt", tmp_path / "ca.key")
    for authority, name in ((ours, "server"), (ours, "client"), (theirs, "stranger")):
        subject = Subject(name, addresses=["127.0.0.1"])
        authority.issue(subject, tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
    tls = ServerCertificate(tmp_path / "server.crt", tmp_path / "server.key", tmp_path / "ca.crt")
    (server,) = await members.start(1, CONFIG, listen=True, tls=tls)
    return server.store


@pytest.fixture
def channels(store: Store, members: Members, tmp_path: Path) -> Channels:
    def open_channel(name: str) -> grpc.aio.Channel:
        credentials = grpc.ssl_channel_credentials(  # type: ignore[no-untyped-call]
            (tmp_path / "ca.crt").read_bytes(),
            (tmp_path / f"{name}.key").read_bytes() if name else None,
            (tmp_path / f"{name}.crt").read_bytes() if name else None,
        )
        return grpc.aio.secure_channel(members.endpoints, credentials)

    return open_channel


@pytest.mark.parametrize(("name", "served"), [("client", True), ("stranger", False), ("", False)])
async def test_only_clients_with_a_certificate_of_the_authority_are_served(
    channels: Channels, name: str, served: bool
) -> None:
    async with channels(name) as channel:
        put = Client(channel).kv.Put(rpc_pb2.PutRequest(key=b"a"))
        if served:
            assert (await put).header.revision == 2
        else:
            assert (await refusal(put))[0] == "UNAVAILABLE"


async def test_a_renewed_certificate_needs_no_restart(channels: Channels, tmp_path: Path) -> None:
    async with channels("client") as old:
        await Client(old).kv.Put(rpc_pb2.PutRequest(key=b"a"))
        (tmp_path / "server.key").write_bytes(b"half of it")
        async with channels("client") as unharmed:
            await Client(unharmed).kv.Put(rpc_pb2.PutRequest(key=b"a"))
        renewed = Authority.create("renewed", system_wall_clock)
        renewed.save(tmp_path / "ca.crt", tmp_path / "ca.key")
        for name in ("server", "client"):
            subject = Subject(name, addresses=["127.0.0.1"])
            renewed.issue(subject, tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
        async with channels("client") as new:
            await Client(new).kv.Put(rpc_pb2.PutRequest(key=b"a"))
        await Client(old).kv.Put(rpc_pb2.PutRequest(key=b"a"))


async def test_the_name_in_the_certificate_is_the_user_unless_there_is_a_token(
    members: Members, store: Store, channels: Channels
) -> None:
    await members.upgraded()
    await store.auth.user_add("root", "secret")
    await store.auth.user_add("client", no_password=True)
    write = auth_requests.PermissionType.WRITE
    for change in (
        auth_requests.RoleAddRequest("root"),
        auth_requests.RoleAddRequest("writer"),
        auth_requests.RoleGrantPermissionRequest("writer", write, b"a"),
        auth_requests.UserGrantRoleRequest("root", "root"),
        auth_requests.UserGrantRoleRequest("client", "writer"),
        auth_requests.AuthEnableRequest(),
    ):
        await store.auth.change(change)
    async with channels("client") as channel:
        kv = Client(channel).kv
        await kv.Put(rpc_pb2.PutRequest(key=b"a"))
        denied = kv.Put(rpc_pb2.PutRequest(key=b"b"))
        assert await refusal(denied) == ("PERMISSION_DENIED", "etcdserver: permission denied")
        login = auth_pb2.AuthenticateRequest(name="root", password="secret")
        token = (await auth_pb2_grpc.AuthStub(channel).Authenticate(login)).token
        for key in ("token", "authorization"):
            await kv.Put(rpc_pb2.PutRequest(key=b"b"), metadata=[(key, token)])
        guess = kv.Put(rpc_pb2.PutRequest(key=b"a"), metadata=[("token", "guess.1")])
        assert await refusal(guess) == ("UNAUTHENTICATED", "etcdserver: invalid auth token")
