"""Users, roles and the state of the auth store as they stand in snapshots.

state = enabled:number revision:number
user  = name:text password_hash:bytes no_password:number roles:number (role:text)*
role  = name:text permissions:number (type:number key:bytes range_end:bytes)*
"""

from collections.abc import Iterator
from typing import Any

from podling.controlplane.store.auth_requests import Permission, PermissionType
from podling.controlplane.store.machine import fields
from podling.controlplane.store.machine.auth.auth_store import AuthStore, Role, User


def encode_state(auth: AuthStore) -> bytes:
    return fields.write(auth.enabled, auth.revision)


def decode_state(data: bytes) -> tuple[bool, int]:
    """(enabled, revision). This and the following raise struct.error and ValueError on damage."""
    enabled, revision = _Reader(data).take(bool, int)
    return enabled, revision


def encode_user(user: User) -> bytes:
    head = fields.write(user.name, user.password_hash, user.no_password, len(user.roles))
    return head + fields.write(*user.roles)


def decode_user(data: bytes) -> User:
    reader = _Reader(data)
    name, password_hash, no_password, count = reader.take(str, bytes, bool, int)
    return User(name, password_hash, no_password, tuple(reader.each(count)))


def encode_role(role: Role) -> bytes:
    head = fields.write(role.name, len(role.permissions))
    return head + b"".join(fields.write(*each) for each in role.permissions)


def decode_role(data: bytes) -> Role:
    reader = _Reader(data)
    name, count = reader.take(str, int)
    permissions = (Permission(*reader.take(PermissionType, bytes, bytes)) for _ in range(count))
    return Role(name, tuple(permissions))


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def each(self, count: int) -> Iterator[str]:
        """So many texts. One by one, since a damaged count may be any number."""
        return (self.take(str)[0] for _ in range(count))

    def take(self, *kinds: type) -> list[Any]:
        """The next values, of these kinds."""
        values = []
        for kind in kinds:
            value, self._at = fields.read(self._data, self._at, kind)
            values.append(value)
        return values
