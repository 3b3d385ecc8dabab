"""What administrators do, each under the verb by which a schedule names it: users and alarms."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from podling.controlplane.store import auth_requests as auth
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.auth_requests import PermissionType
from podling.simulate.store.clients import ADMINISTRATOR, Lost, Unavailable, identify
from podling.simulate.store.member import Member, SimulatedServer
from podling.simulate.store.rights import ROOT, Login
from podling.simulate.store.world import Target, World

ATTEMPTS = 20
RETRY = 0.3
"""Seconds until an administrator tries again."""
EVERYTHING = (b"\0", rq.NO_END)
UNCERTAIN = (Unavailable, Lost, errors.Timeout, errors.NoLeader, errors.Stopped, errors.NotCapable)

CHANGES: Mapping[
    str, Callable[[str, str, tuple[bytes, bytes], PermissionType], auth.AuthChange]
] = {
    "enable": lambda name, role, span, kind: auth.AuthEnableRequest(),
    "disable": lambda name, role, span, kind: auth.AuthDisableRequest(),
    "add-user": lambda name, role, span, kind: auth.UserAddRequest(name, password(name, 0)),
    "delete-user": lambda name, role, span, kind: auth.UserDeleteRequest(name),
    "change-password": lambda name, role, span, kind: auth.UserChangePasswordRequest(
        name, password(name, int(kind))
    ),
    "grant-role": lambda name, role, span, kind: auth.UserGrantRoleRequest(name, role),
    "revoke-role": lambda name, role, span, kind: auth.UserRevokeRoleRequest(name, role),
    "add-role": lambda name, role, span, kind: auth.RoleAddRequest(role),
    "delete-role": lambda name, role, span, kind: auth.RoleDeleteRequest(role),
    "grant": lambda name, role, span, kind: auth.RoleGrantPermissionRequest(role, kind, *span),
    "revoke": lambda name, role, span, kind: auth.RoleRevokePermissionRequest(role, *span),
}
"""What can be changed; each takes what it needs."""


def password(name: str, number: int) -> bytes:
    """One of those that a user has by turns."""
    return f"{name}-{number}".encode()


def begin_users(world: World, member: Target, names: str, roles: str) -> None:
    """Let there be an administrator and these users, each with a role of the same place in the
    list, and let it matter who asks."""
    requests: list[auth.AuthChange] = [
        auth.UserAddRequest(ROOT, password(ROOT, 0)), auth.UserGrantRoleRequest(ROOT, ROOT),
    ]  # fmt: skip
    for name, role in zip(names.split(","), roles.split(","), strict=True):
        requests += [
            auth.UserAddRequest(name, password(name, 0)),
            auth.RoleAddRequest(role),
            auth.RoleGrantPermissionRequest(role, PermissionType.READWRITE, *EVERYTHING),
            auth.UserGrantRoleRequest(name, role),
        ]
    requests.append(auth.AuthEnableRequest())
    target = world.target(member)
    if target is not None:
        world.spawn(_insist(world, target, requests), world.client())


def change_users(
    world: World, member: Target, change: str, name: str, role: str, key: str, kind: int
) -> None:
    """One of `CHANGES`."""
    target = world.target(member)
    if target is not None:
        span = EVERYTHING if key == "*" else (key.encode(), b"")
        request = CHANGES[change](name, role, span, PermissionType(kind))
        world.spawn(_attempt(world, target, request), world.client())


def log_in(world: World, member: Target, name: str, number: int) -> None:
    """Get a token for a password that may be the right one; `name` asks with it from then on."""
    target = world.target(member)
    if target is not None:
        world.spawn(_log_in(world, target, name, password(name, number)), world.client())


def disarm(world: World, member: Target) -> None:
    """Make room, and take all alarms back."""
    target = world.target(member)
    if target is not None:
        world.spawn(make_room(world, target), world.client())


async def make_room(world: World, member: Member) -> None:
    await world.clients.do("operator", member, rq.CompactionRequest(world.history.revision))
    try:
        await world.clients.ask(member, _disarm_all)
    except (Unavailable, Lost, errors.StoreError) as error:
        world.trace.note("disarm-failed", f"at {member.name}: {error!r}")


async def _disarm_all(server: SimulatedServer) -> None:
    """On the member's loop."""
    for alarm in server.store.alarms.raised():
        request = rq.AlarmRequest(rq.AlarmAction.DEACTIVATE, *alarm)
        await server.store.alarms.handle(request, user=await identify(server, ADMINISTRATOR))


async def _insist(world: World, member: Member, requests: list[auth.AuthChange]) -> None:
    """Ask for one after the other, at any member, until it is done or was done before."""
    members = list(world.members.values())
    for request in requests:
        for _ in range(ATTEMPTS):
            if await _attempt(world, member, request):
                break
            member = members[member.number % len(members)]
            await asyncio.sleep(RETRY)


async def _attempt(world: World, member: Member, request: auth.AuthChange) -> bool:
    """Whether it is known what came of it."""
    try:
        await world.clients.ask(member, lambda server: _change(server, request))
    except (*UNCERTAIN, errors.AuthOldRevision) as error:
        world.trace.note("users-unknown", f"{type(request).__name__} {error!r}")
        return False
    except errors.StoreError as error:
        world.trace.note("users-refused", f"{type(request).__name__} {error!r}")
    return True


async def _change(server: SimulatedServer, request: auth.AuthChange) -> Any:
    """On the member's loop."""
    who, store = await identify(server, ADMINISTRATOR), server.store.auth
    if isinstance(request, auth.UserAddRequest):
        return await store.user_add(request.name, request.password_hash.decode(), user=who)
    if isinstance(request, auth.UserChangePasswordRequest):
        new = request.password_hash.decode()
        return await store.user_change_password(request.name, new, user=who)
    return await store.change(request, user=who)


async def _log_in(world: World, member: Member, name: str, secret: bytes) -> None:
    since = world.permissions.changes
    try:
        given = await world.clients.ask(
            member, lambda server: server.store.auth.authenticate(name, secret.decode())
        )
    except (Unavailable, Lost, errors.StoreError) as error:
        world.trace.note("login-failed", f"{name} at {member.name}: {error!r}")
        return
    world.trace.note("login", f"{name} at {member.name}")
    generations = world.permissions.logged_in(name, secret, since)
    world.logins[name] = Login(name, given.token, generations)


ADMINISTERING: Mapping[str, Callable[..., None]] = {
    each.__name__: each for each in (begin_users, change_users, log_in, disarm)
}
