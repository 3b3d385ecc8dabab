"""Requests and responses of etcd's Auth service, decoded (etcd: authpb/auth.proto, rpc.proto).

A password never gets this far: what is replicated and kept is its bcrypt hash.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple


class Identity(NamedTuple):
    """Who asks, as a member has established it from a token or a certificate."""

    user: str
    auth_revision: int
    """Of the auth store when it was established; older than a change, it is established anew."""


class PermissionType(IntEnum):
    READ = 0
    WRITE = 1
    READWRITE = 2


class Permission(NamedTuple):
    """A range of keys, in the terms of `requests`, and what may be done with them."""

    type: PermissionType
    key: bytes
    range_end: bytes = b""


class AuthEnableRequest(NamedTuple):
    pass


class AuthDisableRequest(NamedTuple):
    pass


class AuthenticateRequest(NamedTuple):
    """The member that is asked has checked the password."""

    name: str
    token_hash: bytes
    """SHA-256 of the secret part of the token that is given out."""


class UserAddRequest(NamedTuple):
    name: str
    password_hash: bytes
    no_password: bool = False
    """The user cannot log in, only show a certificate."""


class UserDeleteRequest(NamedTuple):
    name: str


class UserChangePasswordRequest(NamedTuple):
    name: str
    password_hash: bytes


class UserGrantRoleRequest(NamedTuple):
    name: str
    role: str


class UserRevokeRoleRequest(NamedTuple):
    name: str
    role: str


class RoleAddRequest(NamedTuple):
    name: str


class RoleDeleteRequest(NamedTuple):
    name: str


class RoleGrantPermissionRequest(NamedTuple):
    name: str
    type: PermissionType
    key: bytes
    range_end: bytes = b""


class RoleRevokePermissionRequest(NamedTuple):
    name: str
    key: bytes
    range_end: bytes = b""


#: What changes users, roles or whether they matter; each is replicated.
AuthChange = (
    AuthEnableRequest
    | AuthDisableRequest
    | UserAddRequest
    | UserDeleteRequest
    | UserChangePasswordRequest
    | UserGrantRoleRequest
    | UserRevokeRoleRequest
    | RoleAddRequest
    | RoleDeleteRequest
    | RoleGrantPermissionRequest
    | RoleRevokePermissionRequest
)


class AuthResponse(NamedTuple):
    """Of every change."""

    revision: int


@dataclass(frozen=True, slots=True)
class AuthenticateResponse:
    revision: int
    token: str = field(repr=False)


class AuthStatusResponse(NamedTuple):
    revision: int
    enabled: bool
    auth_revision: int


class UserGetResponse(NamedTuple):
    revision: int
    roles: Sequence[str]


class RoleGetResponse(NamedTuple):
    revision: int
    permissions: Sequence[Permission]


class NamesResponse(NamedTuple):
    """All users, or all roles, sorted."""

    revision: int
    names: Sequence[str]
