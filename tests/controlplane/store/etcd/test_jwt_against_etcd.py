"""Signed tokens as a client sees them: alike on our store and on a real etcd, and good at both."""

from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.etcdpb import rpc_pb2
from podling.controlplane.store.jwt_signer import JwtSigner
from tests.controlplane.store.etcd.clients import OPTIONS, Client, Watch, needs_etcd, real_etcd
from tests.controlplane.store.etcd.test_auth_against_etcd import READWRITE, Users
from tests.controlplane.store.members import Members


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """Made when it is wanted; it takes a moment."""
    return rsa.generate_private_key(65537, 2048)


INVALID = "UNAUTHENTICATED: etcdserver: invalid auth token"
OLD = "INVALID_ARGUMENT: etcdserver: revision of auth store is old"
VERIFY_ONLY = "UNKNOWN: auth: token signing attempted with verify-only key"


def signer(
    *, private: bool = True, ttl: float = 300, key: Any = None, method: str = "RS256"
) -> JwtSigner:
    key = key or rsa_key()
    return JwtSigner(method, key.public_key(), key if private else None, ttl, system_wall_clock)


def etcds_flag(folder: Path, *, private: bool = True) -> str:
    pem = serialization.Encoding.PEM
    (folder / "t.key").write_bytes(
        rsa_key().private_bytes(
            pem,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    (folder / "t.pub").write_bytes(
        rsa_key().public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    keys = f"pub-key={folder / 't.pub'}" + (f",priv-key={folder / 't.key'}" if private else "")
    return f"--auth-token=jwt,{keys},sign-method=RS256,ttl=5m"


@pytest.fixture(params=["podling", pytest.param("etcd", marks=needs_etcd)])
async def users(
    request: pytest.FixtureRequest, members: Members, tmp_path: Path
) -> AsyncIterator[Users]:
    """Authentication is enabled; root, and anna, who has the keys from a to b."""
    if request.param == "etcd":
        async with real_etcd(tmp_path, etcds_flag(tmp_path)) as channel:
            yield await guarded(Client(channel))
        return
    (server,) = await members.start(1, listen=True, signers=[signer()])
    await members.upgraded()
    async with grpc.aio.insecure_channel(members.endpoint(server), options=OPTIONS) as channel:
        yield await guarded(Client(channel))


async def guarded(client: Client) -> Users:
    users = Users(client)
    for name in ("root", "anna"):
        assert await users.change("", "UserAdd", name=name, password=name) == "OK"
    assert await users.change("", "RoleAdd", name="a") == "OK"
    assert await users.grant("a", READWRITE, b"a", b"b") == "OK"
    assert await users.change("", "UserGrantRole", user="root", role="root") == "OK"
    assert await users.change("", "UserGrantRole", user="anna", role="a") == "OK"
    assert await users.change("", "AuthEnable") == "OK"
    return users


def revision_in(token: str) -> int:
    identity = signer().identity_of(token)
    assert identity is not None
    return identity.auth_revision


async def test_who_has_logged_in_is_known(users: Users) -> None:
    assert await users.login("anna", "anna") == "OK"
    known = signer().identity_of(users.tokens["anna"])
    assert known is not None and known.user == "anna"
    assert await users.put("anna", b"a") == "OK"
    assert await users.put("anna", b"b") == "PERMISSION_DENIED: etcdserver: permission denied"
    assert (await users.login("anna", "wrong")).startswith("INVALID_ARGUMENT: etcdserver: auth")


async def test_a_token_is_good_wherever_the_key_is(users: Users) -> None:
    """So ours are good at an etcd, and etcd's here."""
    assert await users.login("anna", "anna") == "OK"
    users.tokens["ours"] = signer().sign("anna", revision_in(users.tokens["anna"]))
    assert await users.put("ours", b"a") == "OK"
    assert await users.get("ours", b"a") == "OK count: 1"


async def test_what_is_not_signed_so_is_refused(users: Users) -> None:
    assert await users.login("anna", "anna") == "OK"
    at = revision_in(users.tokens["anna"])
    head, _, _ = users.tokens["anna"].rpartition(".")
    other = ec.generate_private_key(ec.SECP256R1())
    for wrong in (
        "guessed.7",
        "nothing",
        f"{head}.",
        f"{head}.AAAA",
        signer(key=other, method="ES256").sign("root", at),
        signer(method="RS512").sign("root", at),
        signer(ttl=-1).sign("anna", at),
    ):
        users.tokens["thief"] = wrong
        assert await users.get("thief", b"a") == INVALID
        assert await users.put("thief", b"a") == INVALID
        assert await users.change("thief", "UserList") == INVALID


async def test_a_change_makes_tokens_old(users: Users) -> None:
    assert await users.login("anna", "anna") == "OK"
    assert await users.login("root", "root") == "OK"
    grant = rpc_pb2.LeaseGrantRequest(ID=77, TTL=600)
    assert (await users.ask("root", users.client.lease.LeaseGrant, grant)).startswith("OK")
    assert await users.put("root", b"x", lease=77) == "OK"
    assert await users.change("root", "RoleAdd", name="later") == "OK"
    assert await users.get("anna", b"a") == OLD
    assert await users.put("anna", b"a") == OLD
    assert await users.delete("anna", b"a") == OLD
    assert await users.txn("anna", [], [rpc_pb2.RequestOp(request_range=ANY)]) == OLD
    assert await users.get("root", b"a") == OLD
    revoke = rpc_pb2.LeaseRevokeRequest(ID=77)
    assert await users.ask("root", users.client.lease.LeaseRevoke, revoke) == OLD
    # Who manages users is looked up each time.
    assert await users.change("root", "RoleAdd", name="latest") == "OK"
    assert await users.login("anna", "anna") == "OK"
    assert await users.put("anna", b"a") == "OK"


ANY = rpc_pb2.RangeRequest(key=b"a")


async def test_an_old_token_watches_nothing(users: Users) -> None:
    assert await users.login("root", "root") == "OK"
    assert await users.change("root", "RoleAdd", name="later") == "OK"
    watch = Watch(users.client.watch.Watch(metadata=users.metadata("root")))
    await watch.create(key=b"a")
    response = await watch.next()
    assert response.created and response.canceled
    assert response.cancel_reason == (
        "rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old"
    )
    watch.call.cancel()


async def test_a_deleted_users_token_is_nobodys(users: Users) -> None:
    assert await users.login("anna", "anna") == "OK"
    assert await users.login("root", "root") == "OK"
    assert await users.change("root", "UserDelete", name="anna") == "OK"
    assert await users.put("anna", b"a") == OLD
    assert not (await users.change("anna", "UserList")).startswith("OK")


@needs_etcd
async def test_who_cannot_sign_says_so_in_etcds_words(members: Members, tmp_path: Path) -> None:
    async with real_etcd(tmp_path, etcds_flag(tmp_path, private=False)) as channel:
        users = await guarded(Client(channel))
        assert await users.login("anna", "anna") == VERIFY_ONLY
    (server,) = await members.start(1, listen=True, signers=[signer(private=False)])
    await members.upgraded()
    async with grpc.aio.insecure_channel(members.endpoint(server)) as channel:
        users = await guarded(Client(channel))
        assert await users.login("anna", "anna") == VERIFY_ONLY
        assert (await users.login("anna", "wrong")).startswith("INVALID_ARGUMENT")
