"""The words of scenario files for users, roles and alarms (see `interpreter`).

user-add NAME [no-password] | user-delete NAME | password NAME | grant-role USER ROLE
revoke-role USER ROLE | role-add NAME | role-delete NAME | permit ROLE TYPE KEY [END]
forbid ROLE KEY [END] | enable-auth | disable-auth
raise TYPE MEMBER | clear TYPE MEMBER
"""

from collections.abc import Callable
from typing import Any

from podling.controlplane.store import auth_requests as auth
from podling.controlplane.store import requests as rq
from podling.controlplane.store.machine.auth import tokens
from podling.controlplane.store.machine.state_machine import StoreStateMachine


def request_of(name: str, words: list[str], key_range: Callable[..., Any]) -> Any:
    """The request that the words stand for; None if the name is none of these."""
    makers: dict[str, Callable[..., Any]] = {
        "user-add": lambda user, *flags: auth.UserAddRequest(user, b"hash", bool(flags)),
        "user-delete": auth.UserDeleteRequest,
        "password": lambda user: auth.UserChangePasswordRequest(user, b"other"),
        "grant-role": auth.UserGrantRoleRequest,
        "revoke-role": auth.UserRevokeRoleRequest,
        "role-add": auth.RoleAddRequest,
        "role-delete": auth.RoleDeleteRequest,
        "permit": lambda role, kind, *keys: auth.RoleGrantPermissionRequest(
            role, auth.PermissionType[kind], *key_range(list(keys))
        ),
        "forbid": lambda role, *keys: auth.RoleRevokePermissionRequest(
            role, *key_range(list(keys))
        ),
        "enable-auth": auth.AuthEnableRequest,
        "disable-auth": auth.AuthDisableRequest,
        "login": lambda user: auth.AuthenticateRequest(user, tokens.hash_of(user)),
        "raise": lambda kind, member: _alarm(rq.AlarmAction.ACTIVATE, kind, member),
        "clear": lambda kind, member: _alarm(rq.AlarmAction.DEACTIVATE, kind, member),
    }
    return makers[name](*words) if name in makers else None


def identity(machine: StoreStateMachine, who: str) -> auth.Identity:
    """`NAME`, established now, or `NAME@REVISION`."""
    name, _, revision = who.partition("@")
    return auth.Identity(name, int(revision) if revision else machine.auth.revision)


def describe_auth(machine: StoreStateMachine, show: Callable[[bytes], str]) -> str:
    store = machine.auth
    lines = [f"{'on' if store.enabled else 'off'} revision={store.revision}"]
    for user in sorted(store.users.values()):
        password = "no password" if user.no_password else user.password_hash.decode()
        roles = " ".join(user.roles) or "none"
        lines.append(f"user {user.name}: {password}, roles {roles}")
    for role in sorted(store.roles.values()):
        granted = [
            f"{each.type.name} {show(each.key)} {show(each.range_end)}" for each in role.permissions
        ]
        lines.append(f"role {role.name}: {', '.join(granted) or 'nothing'}")
    return "\n".join(lines)


def describe_alarms(alarms: list[rq.Alarm]) -> str:
    return "\n".join(f"{each.type.name} of member {each.member_id}" for each in alarms) or "none"


def _alarm(action: rq.AlarmAction, kind: str, member: str) -> rq.AlarmRequest:
    return rq.AlarmRequest(action, int(member), rq.AlarmType[kind])
