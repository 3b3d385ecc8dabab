"""Users, roles and logging in, as the faces use them (etcd: server/etcdserver/v3_server.go).

Whoever asks is established once, by the member that is asked (`identify`), and goes along with the
request as an `Identity`; what it may do is checked where the request is carried out. While
authentication is not enabled there are no identities, and everything is allowed.
"""

import base64
import logging

from podling.controlplane.store import auth_requests as rq
from podling.controlplane.store import errors
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.passwords import Passwords
from podling.controlplane.store.proposer import Proposer
from podling.controlplane.store.token_providers import TokenProvider

log = logging.getLogger(__name__)


class Authentication:
    """One member's. Every method raises StoreError, in etcd's words."""

    def __init__(
        self,
        machine: StoreStateMachine,
        proposer: Proposer,
        passwords: Passwords,
        tokens: TokenProvider,
    ) -> None:
        self._machine = machine
        self._proposer = proposer
        self._passwords = passwords
        self._tokens = tokens

    @property
    def enabled(self) -> bool:
        """Whether it matters who asks, as far as this member knows."""
        return self._machine.auth.enabled

    def root(self) -> Identity | None:
        """As whom this process itself acts: it may do everything."""
        return self._machine.auth.root()

    async def identify(self, token: str = "", certificate_name: str = "") -> Identity | None:
        """Who shows this token, or else this name in a certificate that was checked.

        None while authentication is not enabled, and for who shows nothing. Raises
        InvalidAuthToken.
        """
        shown = await self._tokens.identity_of(token) if token else None
        if not self.enabled:
            return None
        if token and shown is None:
            raise errors.InvalidAuthToken
        if shown is None and certificate_name:
            return Identity(certificate_name, self._machine.auth.revision)
        return shown

    def forget_old_tokens(self, index: int) -> None:
        """Know none of the tokens that were given out up to the log entry at `index`."""
        self._machine.tokens.forget_up_to(index)

    def check_known(self, user: Identity | None) -> None:
        """Somebody must ask, whoever it is. Raises UserEmpty."""
        self._machine.auth.check_known(user)

    def check_admin(self, user: Identity | None) -> None:
        """Only those with the role root. Raises UserEmpty, UserNotFound and PermissionDenied."""
        self._machine.auth.check_admin(user)

    async def authenticate(self, name: str, password: str) -> rq.AuthenticateResponse:
        """Give out a token, which all members know from then on.

        Raises AuthNotEnabled, AuthFailed, NoPasswordUser and VerifyOnly.
        """
        while True:
            await self._proposer.linearize()
            auth = self._machine.auth
            if not auth.enabled:
                raise errors.AuthNotEnabled
            user = auth.users.get(name)
            if user is None:
                raise errors.AuthFailed
            if user.no_password:
                raise errors.NoPasswordUser
            checked_at = auth.revision
            if not await self._passwords.fits(password, user.password_hash):
                log.info("a wrong password was given for user %r", name)
                raise errors.AuthFailed
            token = await self._tokens.assign(name, checked_at)
            # The password may have been changed meanwhile.
            if self._machine.auth.revision == checked_at:
                return rq.AuthenticateResponse(self._machine.store.revision, token)

    async def change(
        self, request: rq.AuthChange, *, user: Identity | None = None
    ) -> rq.AuthResponse:
        """Carry out any change that has no password in it."""
        return await self._proposer.propose(request, user)  # type: ignore[no-any-return]

    async def user_add(
        self,
        name: str,
        password: str = "",
        *,
        hashed_password: str = "",
        no_password: bool = False,
        user: Identity | None = None,
    ) -> rq.AuthResponse:
        """`hashed_password` is a bcrypt hash in base64; it counts if there is no password."""
        self.check_admin(user)
        password_hash = b""
        if not no_password:
            password_hash = await self._hash(password, hashed_password)
        return await self.change(rq.UserAddRequest(name, password_hash, no_password), user=user)

    async def user_change_password(
        self,
        name: str,
        password: str = "",
        *,
        hashed_password: str = "",
        user: Identity | None = None,
    ) -> rq.AuthResponse:
        """As `user_add`; without either, no password fits any more."""
        self.check_admin(user)
        password_hash = b""
        if password or hashed_password:
            password_hash = await self._hash(password, hashed_password)
        return await self.change(rq.UserChangePasswordRequest(name, password_hash), user=user)

    async def status(self, *, user: Identity | None = None) -> rq.AuthStatusResponse:
        await self._read_as_admin(user)
        auth = self._machine.auth
        return rq.AuthStatusResponse(self._machine.store.revision, auth.enabled, auth.revision)

    async def user_get(self, name: str, *, user: Identity | None = None) -> rq.UserGetResponse:
        """Everybody may ask about himself."""
        await self._proposer.linearize()
        if user is None or user.user != name:
            self.check_admin(user)
        roles = self._machine.auth.user(name).roles
        return rq.UserGetResponse(self._machine.store.revision, roles)

    async def user_list(self, *, user: Identity | None = None) -> rq.NamesResponse:
        await self._read_as_admin(user)
        return rq.NamesResponse(self._machine.store.revision, sorted(self._machine.auth.users))

    async def role_get(self, name: str, *, user: Identity | None = None) -> rq.RoleGetResponse:
        """Everybody may ask about the roles he has."""
        await self._proposer.linearize()
        if not self._machine.auth.has_role(user, name):
            self.check_admin(user)
        permissions = self._machine.auth.permissions(name)
        return rq.RoleGetResponse(self._machine.store.revision, permissions)

    async def role_list(self, *, user: Identity | None = None) -> rq.NamesResponse:
        await self._read_as_admin(user)
        return rq.NamesResponse(self._machine.store.revision, sorted(self._machine.auth.roles))

    async def _read_as_admin(self, user: Identity | None) -> None:
        await self._proposer.linearize()
        self.check_admin(user)

    async def _hash(self, password: str, hashed_password: str) -> bytes:
        if hashed_password and not password:
            try:
                return base64.b64decode(hashed_password, validate=True)
            except ValueError as error:  # not base64, or not ASCII
                raise errors.NoPasswordUser from error
        return await self._passwords.hash(password)
