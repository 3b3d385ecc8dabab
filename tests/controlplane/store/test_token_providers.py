"""Signed tokens over real replicas: nothing of them is kept, and every member knows them."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.store import auth_requests as auth
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.jwt_signer import JwtSigner
from podling.controlplane.store.store import Store
from tests.controlplane.store.members import Members
from tests.controlplane.store.test_authentication import files

KEY = ec.generate_private_key(ec.SECP256R1())


def signer(*, private: bool = True) -> JwtSigner:
    key = KEY if private else None
    return JwtSigner("ES256", KEY.public_key(), key, ttl=300, clock=system_wall_clock)


async def start(members: Members, *signers: JwtSigner) -> list[Store]:
    """Members with the user root, enabled."""
    servers = await members.start(len(signers), signers=signers)
    stores = [server.store for server in servers]
    await members.upgraded()
    await stores[0].auth.user_add("root", "secret")
    await stores[0].auth.change(auth.UserGrantRoleRequest("root", "root"))
    await stores[0].auth.change(auth.AuthEnableRequest())
    return stores


async def test_every_member_knows_it_though_one_only_can_give_it_out(members: Members) -> None:
    stores = await start(members, signer(private=False), signer(), signer(private=False))
    token = (await stores[1].auth.authenticate("root", "secret")).token
    for store in stores:
        root = await store.auth.identify(token)
        assert root is not None and root.user == "root"
        await store.put(rq.PutRequest(b"a"), user=root)
    with pytest.raises(errors.VerifyOnly):
        await stores[0].auth.authenticate("root", "secret")
    with pytest.raises(errors.AuthFailed):
        await stores[0].auth.authenticate("root", "wrong")


async def test_it_outlives_a_restart_and_is_on_no_disk(members: Members, tmp_path: Path) -> None:
    (store,) = await start(members, signer())
    token = (await store.auth.authenticate("root", "secret")).token
    (server,) = members.servers
    await members.stop(server)
    data = b"".join(path.read_bytes() for path in files(tmp_path))
    assert b"root" in data and token.rpartition(".")[2].encode() not in data
    store = (await members.restart(server)).store
    assert await store.auth.identify(token) == await store.auth.identify(certificate_name="root")


@pytest.mark.parametrize("shown", ["0123456789abcdef.7", "a.b.c", "."])
async def test_what_nobody_signed_is_nobodys(members: Members, shown: str) -> None:
    (store,) = await start(members, signer())
    with pytest.raises(errors.InvalidAuthToken):
        await store.auth.identify(shown)


async def test_while_it_is_off_a_token_says_nothing(members: Members) -> None:
    (store,) = await start(members, signer())
    token = (await store.auth.authenticate("root", "secret")).token
    root = await store.auth.identify(token)
    await store.auth.change(auth.AuthDisableRequest(), user=root)
    assert await store.auth.identify(token) is None
    assert await store.auth.identify("nobody's") is None
