"""Who may do what: a model of users and roles, apart from the store's and as plain as can be.

It knows only what the simulated clients ask for: keys one by one, or all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from podling.controlplane.store import auth_requests as auth
from podling.controlplane.store import requests as rq
from podling.controlplane.store.auth_requests import PermissionType

ROOT = "root"


class Need(NamedTuple):
    """To read a range of keys, or else to write it."""

    reads: bool
    key: bytes
    range_end: bytes = b""


class Password(NamedTuple):
    """What a user logs in with."""

    hashed: bytes
    generation: int
    """Tells it from every other that the user ever had."""


class Login(NamedTuple):
    """As whom a client asks."""

    user: str
    token: str = ""
    """Empty: the user shows a certificate."""
    generations: frozenset[int] = frozenset()
    """The password that the token was given out for is one of these."""


@dataclass(frozen=True)
class Rights:
    """Between two changes."""

    enabled: bool = False
    roles_of: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By user."""
    passwords: Mapping[str, Password] = field(default_factory=dict)
    """By user; of those that are gone, too."""
    permissions: Mapping[str, Mapping[tuple[bytes, bytes], PermissionType]] = field(
        default_factory=dict
    )
    """By role and range."""

    def allows(self, who: Login, needs: Sequence[Need]) -> bool:
        """Whether `who` may do something for which all that is needed."""
        if not self.enabled:
            return True
        if who.user not in self.roles_of:
            return False
        if who.token and self.passwords[who.user].generation not in who.generations:
            return False
        return self.is_root(who.user) or all(self._has(who.user, need) for need in needs)

    def is_root(self, user: str) -> bool:
        return ROOT in self.roles_of.get(user, ())

    def changed(self, request: Any) -> "Rights":
        """After a change that was not refused."""
        match request:
            case auth.AuthEnableRequest():
                return replace(self, enabled=True)
            case auth.AuthDisableRequest():
                # Tokens end with it; it does not matter of which password they were.
                passwords = {name: _next(each) for name, each in self.passwords.items()}
                return replace(self, enabled=False, passwords=passwords)
            case auth.UserAddRequest(name, hashed):
                return self.with_password(name, hashed).with_roles(name, frozenset())
            case auth.UserChangePasswordRequest(name, hashed):
                return self.with_password(name, hashed)
            case auth.UserDeleteRequest(name):
                left = {user: roles for user, roles in self.roles_of.items() if user != name}
                return replace(self.with_password(name, b""), roles_of=left)
            case auth.UserGrantRoleRequest(name, role):
                return self.with_roles(name, self.roles_of[name] | {role})
            case auth.UserRevokeRoleRequest(name, role):
                return self.with_roles(name, self.roles_of[name] - {role})
            case auth.RoleAddRequest(role):
                return self.with_permissions(role, {})
            case auth.RoleDeleteRequest(role):
                left = {user: roles - {role} for user, roles in self.roles_of.items()}
                return replace(self.with_permissions(role, {}), roles_of=left)
            case auth.RoleGrantPermissionRequest(role, kind, key, end):
                return self.with_permissions(role, {**self.permissions[role], (key, end): kind})
            case auth.RoleRevokePermissionRequest(role, key, end):
                kept = {at: kind for at, kind in self.permissions[role].items() if at != (key, end)}
                return self.with_permissions(role, kept)
            case _:
                raise TypeError(f"no change of users: {request}")

    def with_password(self, user: str, hashed: bytes) -> "Rights":
        before = self.passwords.get(user, Password(b"", 0))
        after = Password(hashed, before.generation + 1)
        return replace(self, passwords={**self.passwords, user: after})

    def with_roles(self, user: str, roles: frozenset[str]) -> "Rights":
        return replace(self, roles_of={**self.roles_of, user: roles})

    def with_permissions(
        self, role: str, permissions: Mapping[tuple[bytes, bytes], PermissionType]
    ) -> "Rights":
        return replace(self, permissions={**self.permissions, role: permissions})

    def _has(self, user: str, need: Need) -> bool:
        other = PermissionType.WRITE if need.reads else PermissionType.READ
        return any(
            kind != other and _covers(key, end, need)
            for role in self.roles_of[user]
            for (key, end), kind in self.permissions.get(role, {}).items()
        )


def needs_of(request: object) -> Sequence[Need] | None:
    """What must be allowed for it; None if that does not depend on keys."""
    if isinstance(request, rq.RangeRequest | rq.PutRequest | rq.DeleteRangeRequest | rq.TxnRequest):
        return list(_needs(request))
    return None


def _needs(request: Any) -> Iterator[Need]:
    if isinstance(request, rq.TxnRequest):
        for compare in request.compare:
            yield Need(True, compare.key, compare.range_end)
        for operation in (*request.success, *request.failure):
            yield from _needs(operation)
    elif isinstance(request, rq.PutRequest):
        yield Need(False, request.key)
    else:
        yield Need(isinstance(request, rq.RangeRequest), request.key, request.range_end)


def _covers(key: bytes, end: bytes, need: Need) -> bool:
    """One range covers all that is needed; nothing here is covered by several together."""
    everything = end == rq.NO_END
    return (key, end) == need[1:] or (everything and key <= need.key)


def _next(password: Password) -> Password:
    return password._replace(generation=password.generation + 1)
