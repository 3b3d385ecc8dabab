"""Who a caller is, and what is refused to whom: where ours is stricter than older etcds, too."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.etcdpb import auth_pb2, lock_pb2, rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.etcd.caller import ANYBODY, Caller
from podling.controlplane.store.etcd.server_certificate import ServerCertificate
from podling.controlplane.store.store import Store
from podling.launcher.certificates import Authority, Subject
from tests.controlplane.store.etcd.clients import Client
from tests.controlplane.store.etcd.direct import DirectClient, messages, watch
from tests.controlplane.store.members import PATIENCE, Members

CONFIG = StoreConfig(min_lease_ttl=1, housekeeping_interval=0.02, bcrypt_cost=4)
ANNA = Caller(certificate_name="anna")
ROOT = Caller(certificate_name="root")


async def guard(client: DirectClient, keys: bytes = b"a") -> None:
    """Enable authentication, with anna, who may do everything with keys from `keys` on."""
    permission = auth_pb2.Permission(permType=2, key=keys, range_end=b"\0")  # type: ignore[arg-type]
    for method, request in (
        ("UserAdd", auth_pb2.AuthUserAddRequest(name="root", password="secret")),
        ("UserGrantRole", auth_pb2.AuthUserGrantRoleRequest(user="root", role="root")),
        ("UserAdd", auth_pb2.AuthUserAddRequest(name="anna", password="anna's")),
        ("RoleAdd", auth_pb2.AuthRoleAddRequest(name="r")),
        ("RoleGrantPermission",
         auth_pb2.AuthRoleGrantPermissionRequest(name="r", perm=permission)),
        ("UserGrantRole", auth_pb2.AuthUserGrantRoleRequest(user="anna", role="r")),
        ("AuthEnable", auth_pb2.AuthEnableRequest()),
    ):  # fmt: skip
        await client.call(f"Auth/{method}", request)


@pytest.fixture
async def store(members: Members) -> Store:
    (server,) = await members.start(1, CONFIG)
    await members.upgraded()
    return server.store


@pytest.fixture
async def client(store: Store) -> DirectClient:
    client = DirectClient(store)
    await guard(client)
    return client


ADMINISTRATION = [
    ("Auth/AuthStatus", auth_pb2.AuthStatusRequest()),
    ("Auth/UserList", auth_pb2.AuthUserListRequest()),
    ("Maintenance/Hash", rpc_pb2.HashRequest()),
    ("Maintenance/HashKV", rpc_pb2.HashKVRequest()),
    ("Maintenance/Defragment", rpc_pb2.DefragmentRequest()),
    ("Maintenance/MoveLeader", rpc_pb2.MoveLeaderRequest(targetID=7)),
    ("Maintenance/Alarm", rpc_pb2.AlarmRequest(action=1, memberID=7, alarm=1)),  # type: ignore[arg-type]
    ("Cluster/MemberAdd", rpc_pb2.MemberAddRequest(peerURLs=["http://127.0.0.1:1"])),
    ("Cluster/MemberRemove", rpc_pb2.MemberRemoveRequest(ID=7)),
    ("Cluster/MemberUpdate", rpc_pb2.MemberUpdateRequest(ID=7)),
    ("Cluster/MemberPromote", rpc_pb2.MemberPromoteRequest(ID=7)),
]


@pytest.mark.parametrize(("path", "request_"), ADMINISTRATION, ids=lambda each: str(each)[:30])
async def test_administration_takes_the_role_root(
    client: DirectClient, path: str, request_: Any
) -> None:
    with pytest.raises(errors.PermissionDenied):
        await client.call(path, request_, ANNA)
    with pytest.raises(errors.UserEmpty):
        await client.call(path, request_, ANYBODY)
    with pytest.raises(errors.UserNotFound):
        await client.call(path, request_, Caller(certificate_name="stranger"))
    with pytest.raises(errors.InvalidAuthToken):
        await client.call(path, request_, Caller(token="guess.1", certificate_name="root"))


async def test_a_snapshot_holds_everything_and_takes_the_role_root(client: DirectClient) -> None:
    for caller, refusal in ((ANNA, errors.PermissionDenied), (ANYBODY, errors.UserEmpty)):
        with pytest.raises(refusal):
            async for _ in client.stream(
                "Maintenance/Snapshot",
                rpc_pb2.SnapshotRequest(),
                caller,  # type: ignore[arg-type]
            ):
                pass


@pytest.mark.parametrize(
    ("path", "request_"),
    [
        ("KV/Compact", rpc_pb2.CompactionRequest(revision=1)),
        ("KV/Txn", rpc_pb2.TxnRequest()),
        ("Lease/LeaseGrant", rpc_pb2.LeaseGrantRequest(TTL=60)),
        ("Lease/LeaseLeases", rpc_pb2.LeaseLeasesRequest()),
        ("Lease/LeaseTimeToLive", rpc_pb2.LeaseTimeToLiveRequest(ID=7)),
        ("Cluster/MemberList", rpc_pb2.MemberListRequest()),
        ("Maintenance/Alarm", rpc_pb2.AlarmRequest()),
        # kube-apiserver asks for it, and need not be root.
        ("Maintenance/Status", rpc_pb2.StatusRequest()),
    ],
    ids=lambda each: str(each)[:30],
)
async def test_everything_takes_some_user(client: DirectClient, path: str, request_: Any) -> None:
    with pytest.raises(errors.UserEmpty):
        await client.call(path, request_, ANYBODY)
    await client.call(path, request_, ANNA)


async def test_a_token_goes_before_a_certificate(client: DirectClient) -> None:
    login = auth_pb2.AuthenticateRequest(name="root", password="secret")
    token = (await client.call("Auth/Authenticate", login)).token
    request = auth_pb2.AuthUserListRequest()
    both = Caller(token=token, certificate_name="anna")
    assert list((await client.call("Auth/UserList", request, both)).users) == ["anna", "root"]


async def test_a_lock_is_that_of_who_may_write_its_keys(client: DirectClient) -> None:
    async def lock(name: bytes) -> bytes:
        request = lock_pb2.LockRequest(name=name)
        async with asyncio.timeout(PATIENCE):
            return bytes((await client.call("v3lockpb.Lock/Lock", request, ANNA)).key)

    key = await lock(b"door")
    await client.call("v3lockpb.Lock/Unlock", lock_pb2.UnlockRequest(key=key), ANNA)
    with pytest.raises(errors.PermissionDenied):
        await lock(b"A door")


async def test_a_watch_with_a_token_that_is_not_known_is_cancelled(client: DirectClient) -> None:
    wrong = Caller(token="guess.1")
    stream = client.stream("Watch/Watch", messages([watch(key=b"a")]), wrong)
    async with asyncio.timeout(PATIENCE):
        response = await anext(stream)
    assert response.canceled
    assert response.cancel_reason == (
        "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"
    )
    await stream.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (auth_pb2.AuthRoleGrantPermissionRequest(name="r"), errors.PermissionNotGiven),
        (
            auth_pb2.AuthRoleGrantPermissionRequest(
                name="r",
                perm=auth_pb2.Permission(permType=9, key=b"a"),  # type: ignore[arg-type]
            ),
            errors.InvalidAuthManagement,
        ),
        (
            auth_pb2.AuthRoleGrantPermissionRequest(
                name="r", perm=auth_pb2.Permission(key=b"b", range_end=b"a")
            ),
            errors.InvalidAuthManagement,
        ),
    ],
    ids=["none", "unknown", "empty range"],
)
async def test_a_permission_that_means_nothing_is_refused(
    client: DirectClient, request_: Any, refusal: type[errors.StoreError]
) -> None:
    with pytest.raises(refusal):
        await client.call("Auth/RoleGrantPermission", request_, ROOT)


async def test_the_status_tells_whether_it_is_on(client: DirectClient, store: Store) -> None:
    status = await client.call("Auth/AuthStatus", auth_pb2.AuthStatusRequest(), ROOT)
    assert (status.enabled, status.authRevision) == (True, store._machine.auth.revision)
    found = await client.call("Auth/RoleGet", auth_pb2.AuthRoleGetRequest(role="r"), ANNA)
    assert [(each.key, each.range_end) for each in found.perm] == [(b"a", b"\0")]


@pytest.mark.parametrize("names_users", [True, False])
async def test_the_name_in_a_certificate_that_was_checked_is_the_user_if_so_asked(
    members: Members, tmp_path: Path, names_users: bool
) -> None:
    authority = Authority.create("ours", system_wall_clock)
    authority.save(tmp_path / "ca.crt", tmp_path / "ca.key")
    for name in ("server", "root", "anna", "stranger"):
        subject = Subject(name, addresses=["127.0.0.1"])
        authority.issue(subject, tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
    files = (tmp_path / each for each in ("server.crt", "server.key", "ca.crt"))
    tls = ServerCertificate(*files, names_users=names_users)
    (server,) = await members.start(1, CONFIG, listen=True, tls=tls)
    await members.upgraded()
    await guard(DirectClient(server.store), b"b")

    async def put(name: str, key: bytes, metadata: Any = ()) -> str:
        credentials = grpc.ssl_channel_credentials(  # type: ignore[no-untyped-call]
            *((tmp_path / each).read_bytes() for each in ("ca.crt", f"{name}.key", f"{name}.crt"))
        )
        async with grpc.aio.secure_channel(members.endpoint(server), credentials) as channel:
            call = Client(channel).kv.Put(rpc_pb2.PutRequest(key=key), metadata=metadata)
            try:
                await call
            except grpc.aio.AioRpcError as error:
                return str(error.details())
        return "OK"

    denied = "etcdserver: permission denied"
    for name, key, expected in (
        ("root", b"a", "OK"),
        ("anna", b"b", "OK"),
        ("anna", b"a", denied),
        ("stranger", b"b", denied),
    ):
        answer = await put(name, key)
        assert answer == (expected if names_users else "etcdserver: user name is empty")
    token = (await server.store.auth.authenticate("root", "secret")).token
    assert await put("anna", b"a", [("token", token)]) == "OK"
    assert await put("anna", b"a", [("authorization", token)]) == "OK"
    assert await put("root", b"a", [("token", "guess.1")]) == "etcdserver: invalid auth token"
