"""Users, tokens and permissions over real replicas: who is known where, and may do what."""

import asyncio
import base64
from dataclasses import replace
from pathlib import Path

import bcrypt
import pytest

from podling.controlplane.store import auth_requests as auth
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.auth_requests import Identity, PermissionType
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.machine import commands
from podling.controlplane.store.store import Store
from tests.controlplane.store.members import PATIENCE, Members
from tests.waiting import until

CONFIG = StoreConfig(min_lease_ttl=1, housekeeping_interval=0.02, bcrypt_cost=4)


async def start(members: Members, count: int, config: StoreConfig = CONFIG) -> list[Store]:
    """Members with the users root and anna, who may read and write [a, b); enabled."""
    servers = await members.start(count, config)
    stores = [server.store for server in servers]
    await members.upgraded()
    first = stores[0]
    await first.auth.user_add("root", "secret")
    await first.auth.user_add("anna", "anna's")
    changes: list[auth.AuthChange] = [
        auth.UserGrantRoleRequest("root", "root"),
        auth.RoleAddRequest("a"),
        auth.RoleGrantPermissionRequest("a", PermissionType.READWRITE, b"a", b"b"),
        auth.UserGrantRoleRequest("anna", "a"),
        auth.AuthEnableRequest(),
    ]
    for change in changes:
        await first.auth.change(change)
    return stores


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def login(store: Store, name: str, password: str) -> str:
    return (await store.auth.authenticate(name, password)).token


async def test_a_token_is_known_on_every_member(members: Members) -> None:
    for at, store in enumerate(stores := await start(members, 3)):
        token = await login(store, "anna", "anna's")
        for other in stores:
            anna = await other.auth.identify(token)
            assert anna is not None
            assert anna.user == "anna"
            await other.put(rq.PutRequest(b"a%d" % at), user=anna)
            assert (await other.range(rq.RangeRequest(b"a", b"b"), user=anna)).total == at + 1
            with pytest.raises(errors.PermissionDenied):
                await other.put(rq.PutRequest(b"b"), user=anna)


async def test_a_token_that_nobody_gave_out_is_not_known(members: Members) -> None:
    (store,) = await start(members, 1)
    token = await login(store, "anna", "anna's")
    secret, _, index = token.partition(".")
    for wrong in (f"{secret[::-1]}.{index}", f"{secret}", f"{secret}.x", "x.99999999", ".", "²."):
        with pytest.raises(errors.InvalidAuthToken):
            await store.auth.identify(wrong)


async def test_users_outlive_a_restart(members: Members) -> None:
    (store,) = await start(members, 1)
    (server,) = members.servers
    await members.stop(server)
    store = (await members.restart(server)).store
    with pytest.raises(errors.UserEmpty):
        await store.range(rq.RangeRequest(b"a"))
    anna = await store.auth.identify(await login(store, "anna", "anna's"))
    await store.put(rq.PutRequest(b"a"), user=anna)


async def test_a_token_that_the_log_gives_out_again_is_not_known(members: Members) -> None:
    """It may have ended long before the restart."""
    (store,) = await start(members, 1)
    token = await login(store, "anna", "anna's")
    assert await store.auth.identify(token)
    (server,) = members.servers
    await members.stop(server)
    store = (await members.restart(server)).store
    with pytest.raises(errors.InvalidAuthToken):
        await store.auth.identify(token)
    assert await store.auth.identify(await login(store, "anna", "anna's"))


async def test_nothing_to_log_in_with_is_on_disk(members: Members, tmp_path: Path) -> None:
    (store,) = await start(members, 1)
    token = await login(store, "anna", "anna's")
    secret = token.partition(".")[0]
    (server,) = members.servers
    await members.stop(server)
    data = b"".join(each.read_bytes() for each in files(tmp_path))
    assert b"anna" in data
    assert b"anna's" not in data
    assert secret.encode() not in data


async def test_a_certificate_names_a_user_where_no_token_does(members: Members) -> None:
    (store,) = await start(members, 1)
    anna = await store.auth.identify(certificate_name="anna")
    await store.put(rq.PutRequest(b"a"), user=anna)
    token = await login(store, "root", "secret")
    root = await store.auth.identify(token, "anna")
    assert root is not None
    assert root.user == "root"
    stranger = await store.auth.identify(certificate_name="stranger")
    with pytest.raises(errors.PermissionDenied):
        await store.put(rq.PutRequest(b"a"), user=stranger)
    assert await store.auth.identify() is None


async def test_a_request_that_was_overtaken_by_a_change_is_refused(members: Members) -> None:
    (store,) = await start(members, 1)
    anna = await store.auth.identify(await login(store, "anna", "anna's"))
    await store.auth.change(auth.RoleAddRequest("later"), user=store.auth.root())
    with pytest.raises(errors.AuthOldRevision):
        await store.put(rq.PutRequest(b"a"), user=anna)
    with pytest.raises(errors.AuthOldRevision):
        await store.range(rq.RangeRequest(b"a"), user=anna)
    with pytest.raises(errors.AuthOldRevision):
        await store.txn(rq.TxnRequest((), (rq.RangeRequest(b"a"),)), user=anna)


async def test_while_it_is_off_nobody_needs_to_be_known(members: Members) -> None:
    (store,) = await start(members, 1)
    token = await login(store, "root", "secret")
    await store.auth.change(auth.AuthDisableRequest(), user=await store.auth.identify(token))
    assert store.auth.root() is None
    assert await store.auth.identify(token) is None
    await store.put(rq.PutRequest(b"z"))
    with pytest.raises(errors.AuthNotEnabled):
        await store.auth.authenticate("root", "secret")


async def test_a_users_name_does_not_count_towards_the_size_of_a_request(members: Members) -> None:
    (store,) = await start(members, 1, replace(CONFIG, max_request_bytes=1000))
    largest = 1000 - len(commands.encode(rq.PutRequest(b"a")))
    anna = await store.auth.identify(await login(store, "anna", "anna's"))

    await store.put(rq.PutRequest(b"a", bytes(largest)), user=anna)
    with pytest.raises(errors.RequestTooLarge):
        await store.put(rq.PutRequest(b"a", bytes(largest + 1)), user=anna)


async def test_leases_expire_though_nobody_asks(members: Members) -> None:
    (store,) = await start(members, 1)
    root = store.auth.root()
    members.clock.hold()
    granted = await store.lease_grant(rq.LeaseGrantRequest(1), user=root)
    await store.put(rq.PutRequest(b"a", b"1", granted.id), user=root)
    members.clock.advance(1.1)
    await until(lambda: not store.status().leases, "the lease ends")
    assert (await store.range(rq.RangeRequest(b"a"), user=root)).total == 0


LEASE = 7


@pytest.mark.parametrize(
    "ask",
    [
        lambda store, user: store.range(rq.RangeRequest(b"x"), user=user),
        lambda store, user: store.put(rq.PutRequest(b"x"), user=user),
        lambda store, user: store.delete_range(rq.DeleteRangeRequest(b"x"), user=user),
        lambda store, user: store.txn(
            rq.TxnRequest((), (rq.RangeRequest(b"x"),)), user=user
        ),
        lambda store, user: store.txn(rq.TxnRequest((), (rq.PutRequest(b"x"),)), user=user),
        lambda store, user: store.lease_revoke(rq.LeaseRevokeRequest(LEASE), user=user),
        lambda store, user: store.lease_keep_alive(rq.LeaseKeepAliveRequest(LEASE), user=user),
        lambda store, user: store.lease_time_to_live(LEASE, user=user),
        lambda store, user: store.lease_leases(user=user),
        lambda store, user: store.alarms.handle(
            rq.AlarmRequest(rq.AlarmAction.ACTIVATE, 1, rq.AlarmType.NOSPACE), user=user
        ),
        lambda store, user: store.auth.status(user=user),
        lambda store, user: store.auth.user_add("x", "x", user=user),
    ],
)  # fmt: skip
async def test_what_anna_may_not_do_is_refused_and_without_a_name_too(
    members: Members, ask: object
) -> None:
    (store,) = await start(members, 1)
    root = store.auth.root()
    await store.lease_grant(rq.LeaseGrantRequest(60, LEASE), user=root)
    await store.put(rq.PutRequest(b"x", b"1", LEASE), user=root)
    revision = store.revision
    anna = await store.auth.identify(certificate_name="anna")
    with pytest.raises(errors.PermissionDenied):
        await ask(store, anna)  # type: ignore[operator]
    with pytest.raises(errors.UserEmpty):
        await ask(store, None)  # type: ignore[operator]
    assert store.revision == revision
    assert not store.alarms.raised()


async def test_a_lease_tells_everybody_its_time_but_not_its_keys(members: Members) -> None:
    (store,) = await start(members, 1)
    await store.lease_grant(rq.LeaseGrantRequest(60, LEASE), user=store.auth.root())
    await store.put(rq.PutRequest(b"x", b"1", LEASE), user=store.auth.root())
    anna = await store.auth.identify(certificate_name="anna")
    told = await store.lease_time_to_live(LEASE, keys=False, user=anna)
    assert (told.granted_ttl, list(told.keys)) == (60, [])


async def test_a_watch_is_of_what_may_be_read(members: Members) -> None:
    (store,) = await start(members, 1)
    anna = Identity("anna", store.auth.root().auth_revision)  # type: ignore[union-attr]
    stream = store.watch_stream()
    assert not stream.create(rq.WatchCreateRequest(b"a", b"b"), user=anna).canceled
    refused = stream.create(rq.WatchCreateRequest(b"a", b"c"), user=anna)
    assert refused.canceled
    assert refused.cancel_reason == (
        "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
    )
    await store.put(rq.PutRequest(b"a", b"1"), user=anna)
    async with asyncio.timeout(PATIENCE):
        told = [await stream.next() for _ in range(3)]
    assert [event.kv.value for event in told[2].events] == [b"1"]
    stream.close()


async def test_a_password_may_come_as_a_hash_and_be_too_long(members: Members) -> None:
    (store,) = await start(members, 1)
    root = store.auth.root()
    hashed = base64.b64encode(bcrypt.hashpw(b"hers", bcrypt.gensalt(4))).decode()
    await store.auth.user_add("eve", hashed_password=hashed, user=root)
    await login(store, "eve", "hers")
    root = store.auth.root()
    with pytest.raises(errors.PasswordTooLong):
        await store.auth.user_add("long", "x" * 73, user=root)
    with pytest.raises(errors.NoPasswordUser):
        await store.auth.user_add("bad", hashed_password="no base64!", user=root)
    # What is no hash at all fits no password.
    not_a_hash = base64.b64encode(b"not a hash").decode()
    await store.auth.user_change_password("eve", hashed_password=not_a_hash, user=root)
    for password in ("hers", "not a hash", ""):
        with pytest.raises(errors.AuthFailed):
            await login(store, "eve", password)


async def test_a_login_while_passwords_change_has_the_password_of_now(members: Members) -> None:
    stores = await start(members, 3)
    *logins, _ = await asyncio.gather(
        *(login(stores[1], "anna", "anna's") for _ in range(5)),
        stores[0].auth.user_change_password("anna", "new", user=stores[0].auth.root()),
        return_exceptions=True,
    )
    await stores[1].linearize()
    for outcome in logins:
        assert isinstance(outcome, str | errors.AuthFailed)
        if isinstance(outcome, str):
            with pytest.raises(errors.InvalidAuthToken):
                await stores[1].auth.identify(outcome)


async def test_a_member_that_has_stopped_says_so_to_who_shows_a_token_or_asks_how_it_is(
    members: Members,
) -> None:
    (server,) = await members.start(1, CONFIG)
    await members.stop(server)
    with pytest.raises(errors.Stopped):
        await server.store.auth.identify("unknown.1")
    with pytest.raises(errors.Stopped):
        server.store.status()
