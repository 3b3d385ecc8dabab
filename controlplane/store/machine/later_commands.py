"""The replicated commands that came with version 2, as bytes: authentication, alarms, and
the expiry of leases.

    later     = kind:u8 field*                 the request's fields in their order
    field     = i72 | length:u32 data          by its type; text is UTF-8
    ON_BEHALF = kind:u8 auth_revision:i72 user:(length:u32 data) operation

An i72 has room for both kinds of numbers in etcd's messages, u64 and i64.

ON_BEHALF says who asks, and is proposed only while authentication is enabled.
"""

from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from podling.controlplane.store import auth_requests as auth
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.machine import fields
from podling.controlplane.store.requests import AlarmRequest, HashCheckRequest, LeaseExpireRequest

if TYPE_CHECKING:
    from podling.controlplane.store.machine.commands import Command

#: Commands without parts of their own.
Simple = (
    auth.AuthChange
    | auth.AuthenticateRequest
    | AlarmRequest
    | HashCheckRequest
    | LeaseExpireRequest
)

#: 10 is ON_BEHALF.
KINDS: dict[type, int] = {
    AlarmRequest: 11,
    HashCheckRequest: 12,
    auth.AuthEnableRequest: 13,
    auth.AuthDisableRequest: 14,
    auth.AuthenticateRequest: 15,
    auth.UserAddRequest: 16,
    auth.UserDeleteRequest: 17,
    auth.UserChangePasswordRequest: 18,
    auth.UserGrantRoleRequest: 19,
    auth.UserRevokeRoleRequest: 20,
    auth.RoleAddRequest: 21,
    auth.RoleDeleteRequest: 22,
    auth.RoleGrantPermissionRequest: 23,
    auth.RoleRevokePermissionRequest: 24,
    LeaseExpireRequest: 25,
}

_TYPES = {kind: request for request, kind in KINDS.items()}
_FIELDS = {request: tuple(get_type_hints(request).values()) for request in KINDS}


class OnBehalf(NamedTuple):
    """A command and who asks for it."""

    who: Identity
    command: "Command"


def encode(request: Any) -> bytes:
    """Any of `KINDS`, without a version."""
    return bytes([KINDS[type(request)]]) + fields.write(*request)


def decode(data: bytes, at: int) -> tuple[Any, int]:
    """The request that begins at `at`, and where it ends.

    Raises struct.error and ValueError if it is damaged.
    """
    request = _TYPES[data[at]]
    at += 1
    values = []
    for kind in _FIELDS[request]:
        value, at = fields.read(data, at, kind)
        values.append(value)
    return request(*values), at


def encode_identity(who: Identity) -> bytes:
    return fields.write(*who)


def decode_identity(data: bytes, at: int) -> tuple[Identity, int]:
    """Raises as `decode`."""
    user, at = fields.read(data, at, str)
    revision, at = fields.read(data, at, int)
    return Identity(user, revision), at
