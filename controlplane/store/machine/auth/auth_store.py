"""Users, roles and whether they matter (etcd: server/auth/store.go).

Every change raises the auth revision. A request carries the revision at which its user was
established; one that is older when its turn comes is refused, because what it was allowed then may
not be what it is allowed now.

Whoever has the role `root` may do everything. The user `root` must have it before
authentication can be enabled, and keeps it until it is disabled; so there is always somebody who
can disable it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from podling.controlplane.store import auth_requests as rq
from podling.controlplane.store import errors
from podling.controlplane.store.auth_requests import Identity, Permission, PermissionType
from podling.controlplane.store.machine.key_ranges import KeyRanges, is_valid_range
from podling.controlplane.store.requests import NO_END

ROOT = "root"
"""The name of the user that must exist, and of the role that may do everything."""

FIRST_REVISION = 1

#: What the role `root` is said to have.
ROOT_PERMISSION = Permission(PermissionType.READWRITE, b"", NO_END)


class User(NamedTuple):
    name: str
    password_hash: bytes = b""
    """Empty: no password fits."""
    no_password: bool = False
    roles: tuple[str, ...] = ()
    """Sorted."""


class Role(NamedTuple):
    name: str
    permissions: tuple[Permission, ...] = ()
    """Sorted by range, each range once."""


class AuthStore:
    """All of it. Each method that changes something raises StoreError with nothing changed."""

    def __init__(self) -> None:
        self.enabled = False
        self.revision = FIRST_REVISION
        self.users: dict[str, User] = {}
        self.roles: dict[str, Role] = {}
        self._granted: dict[str, tuple[KeyRanges, KeyRanges]] = {}
        """(what may be read, what may be written) of users that have asked."""
        self._changes: dict[type, Callable[[Any], None]] = {
            rq.AuthEnableRequest: self._enable,
            rq.AuthDisableRequest: self._disable,
            rq.UserAddRequest: self._add_user,
            rq.UserDeleteRequest: self._delete_user,
            rq.UserChangePasswordRequest: self._change_password,
            rq.UserGrantRoleRequest: self._grant_role,
            rq.UserRevokeRoleRequest: self._revoke_role,
            rq.RoleAddRequest: self._add_role,
            rq.RoleDeleteRequest: self._delete_role,
            rq.RoleGrantPermissionRequest: self._grant_permission,
            rq.RoleRevokePermissionRequest: self._revoke_permission,
        }

    def change(self, request: rq.AuthChange) -> None:
        """Carry out a change. Raises what etcd refuses it with."""
        self._changes[type(request)](request)
        self._granted.clear()

    @property
    def pristine(self) -> bool:
        """Whether nothing was ever changed."""
        return not self.enabled and self.revision == FIRST_REVISION

    def load(
        self, enabled: bool, revision: int, users: Sequence[User], roles: Sequence[Role]
    ) -> None:
        """Replace everything."""
        self.enabled, self.revision = enabled, revision
        self.users = {user.name: user for user in users}
        self.roles = {role.name: role for role in roles}
        self._granted.clear()

    def user(self, name: str) -> User:
        """Raises UserNotFound."""
        if name not in self.users:
            raise errors.UserNotFound
        return self.users[name]

    def permissions(self, role: str) -> Sequence[Permission]:
        """Raises RoleNotFound."""
        if role not in self.roles:
            raise errors.RoleNotFound
        return (ROOT_PERMISSION,) if role == ROOT else self.roles[role].permissions

    def root(self) -> Identity | None:
        """As whom the members themselves act; None while it does not matter."""
        return Identity(ROOT, self.revision) if self.enabled else None

    # Checks. All of them pass while authentication is not enabled.

    def check_known(self, who: Identity | None) -> None:
        """Somebody must ask, whoever it is. Raises UserEmpty."""
        if self.enabled and (who is None or not who.user):
            raise errors.UserEmpty

    def check_admin(self, who: Identity | None) -> None:
        """Only those with the role root. Raises UserEmpty, UserNotFound and PermissionDenied."""
        if not self.enabled:
            return
        if who is None or not who.user:
            raise errors.UserEmpty
        if ROOT not in self.user(who.user).roles:
            raise errors.PermissionDenied

    def check_read(self, who: Identity | None, key: bytes, range_end: bytes = b"") -> None:
        """Raises UserEmpty, AuthOldRevision and PermissionDenied."""
        if self.enabled and not self._ranges(who)[0].covers(key, range_end):
            raise errors.PermissionDenied

    def check_write(self, who: Identity | None, key: bytes, range_end: bytes = b"") -> None:
        """Raises UserEmpty, AuthOldRevision and PermissionDenied."""
        if self.enabled and not self._ranges(who)[1].covers(key, range_end):
            raise errors.PermissionDenied

    def check_current(self, who: Identity | None) -> None:
        """Raises AuthOldRevision if users or roles have changed since `who` was established."""
        if self.enabled and who is not None and who.auth_revision < self.revision:
            raise errors.AuthOldRevision

    def has_role(self, who: Identity | None, role: str) -> bool:
        user = self.users.get(who.user) if who is not None else None
        return user is not None and role in user.roles

    def _ranges(self, who: Identity | None) -> tuple[KeyRanges, KeyRanges]:
        if who is None or not who.user:
            raise errors.UserEmpty
        if who.auth_revision < self.revision:
            raise errors.AuthOldRevision
        granted = self._granted.get(who.user)
        if granted is None:
            user = self.users.get(who.user)
            if user is None:
                raise errors.PermissionDenied
            granted = self._granted[who.user] = self._union(user)
        return granted

    def _union(self, user: User) -> tuple[KeyRanges, KeyRanges]:
        if ROOT in user.roles:
            everything = KeyRanges([(b"", NO_END)])
            return everything, everything
        permissions = [
            each
            for name in user.roles
            if name in self.roles
            for each in self.roles[name].permissions
        ]
        read, write = (
            KeyRanges((key, end) for kind, key, end in permissions if kind != other)
            for other in (PermissionType.WRITE, PermissionType.READ)
        )
        return read, write

    # Changes.

    def _enable(self, request: rq.AuthEnableRequest) -> None:
        if self.enabled:
            return
        root = self.users.get(ROOT)
        if root is None:
            raise errors.RootUserMissing
        if ROOT not in root.roles:
            raise errors.RootRoleMissing
        self.enabled = True

    def _disable(self, request: rq.AuthDisableRequest) -> None:
        if self.enabled:
            self.enabled = False
            self.revision += 1

    def _add_user(self, request: rq.UserAddRequest) -> None:
        if not request.name:
            raise errors.UserEmpty
        if request.name in self.users:
            raise errors.UserExists
        password_hash = b"" if request.no_password else request.password_hash
        self._put_user(User(request.name, password_hash, request.no_password))

    def _delete_user(self, request: rq.UserDeleteRequest) -> None:
        if self.enabled and request.name == ROOT:
            raise errors.InvalidAuthManagement
        self.user(request.name)
        del self.users[request.name]
        self.revision += 1

    def _change_password(self, request: rq.UserChangePasswordRequest) -> None:
        user = self.user(request.name)
        password_hash = b"" if user.no_password else request.password_hash
        self._put_user(user._replace(password_hash=password_hash))

    def _grant_role(self, request: rq.UserGrantRoleRequest) -> None:
        user = self.user(request.name)
        if request.role != ROOT and request.role not in self.roles:
            raise errors.RoleNotFound
        if request.role not in user.roles:
            self._put_user(user._replace(roles=tuple(sorted((*user.roles, request.role)))))

    def _revoke_role(self, request: rq.UserRevokeRoleRequest) -> None:
        if self.enabled and request.name == request.role == ROOT:
            raise errors.InvalidAuthManagement
        user = self.user(request.name)
        if request.role not in user.roles:
            raise errors.RoleNotGranted
        self._put_user(_without(user, request.role))

    def _add_role(self, request: rq.RoleAddRequest) -> None:
        if not request.name:
            raise errors.RoleEmpty
        if request.name in self.roles:
            raise errors.RoleExists
        self._put_role(Role(request.name))

    def _delete_role(self, request: rq.RoleDeleteRequest) -> None:
        if self.enabled and request.name == ROOT:
            raise errors.InvalidAuthManagement
        if request.name not in self.roles:
            raise errors.RoleNotFound
        del self.roles[request.name]
        self.users = {name: _without(user, request.name) for name, user in self.users.items()}
        self.revision += 1

    def _grant_permission(self, request: rq.RoleGrantPermissionRequest) -> None:
        if not is_valid_range(request.key, request.range_end):
            raise errors.InvalidAuthManagement
        role = self._role(request.name)
        granted = {each[1:]: each for each in role.permissions}
        permission = Permission(request.type, request.key, request.range_end)
        granted[permission[1:]] = permission
        self._put_role(Role(role.name, tuple(granted[bounds] for bounds in sorted(granted))))

    def _revoke_permission(self, request: rq.RoleRevokePermissionRequest) -> None:
        role = self._role(request.name)
        kept = tuple(
            each for each in role.permissions if each[1:] != (request.key, request.range_end)
        )
        if len(kept) == len(role.permissions):
            raise errors.PermissionNotGranted
        self._put_role(Role(role.name, kept))

    def _role(self, name: str) -> Role:
        if name not in self.roles:
            raise errors.RoleNotFound
        return self.roles[name]

    def _put_user(self, user: User) -> None:
        self.users[user.name] = user
        self.revision += 1

    def _put_role(self, role: Role) -> None:
        self.roles[role.name] = role
        self.revision += 1


def _without(user: User, role: str) -> User:
    return user._replace(roles=tuple(each for each in user.roles if each != role))
