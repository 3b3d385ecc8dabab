"""Tokens: given out to who has logged in, and recognised (etcd: server/auth, TokenProvider).

Simple ones are random; every member knows those that were given out, until they end. Signed ones
say themselves whose they are, so nothing of them is replicated or kept, and a member that has the
key knows them after a restart too. They cannot be taken back: one that was given out before users
or roles changed is refused as old where keys, watches and leases are concerned, as in etcd.
"""

from collections.abc import Callable
from typing import Protocol

from podling.controlplane.store import auth_requests as rq
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.machine.auth import tokens
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.proposer import Proposer

_SECRET_DRAWS = 2
"""Random 64-bit numbers in the secret of a token."""


class TokenProvider(Protocol):
    """One member's; all members of a cluster must have the same kind."""

    async def assign(self, user: str, auth_revision: int) -> str:
        """A token for who was found to be `user` at `auth_revision`. Raises StoreError."""

    async def identity_of(self, token: str) -> Identity | None:
        """Whose token it is; None if it is nobody's. Raises what `Proposer.linearize` does."""


class Signer(Protocol):
    """See `jwt_signer`."""

    def sign(self, user: str, auth_revision: int) -> str:
        """Raises VerifyOnly."""

    def identity_of(self, token: str) -> Identity | None:
        """None if this signer's key has not signed it, or its time is not now."""


class SimpleTokens:
    """etcd's default: see `machine.auth.tokens`."""

    def __init__(
        self, machine: StoreStateMachine, proposer: Proposer, new_id: Callable[[], int]
    ) -> None:
        """`new_id` draws random 64-bit numbers that nobody can guess."""
        self._machine = machine
        self._proposer = proposer
        self._new_id = new_id

    async def assign(self, user: str, auth_revision: int) -> str:
        secret = "".join(f"{self._new_id():016x}" for _ in range(_SECRET_DRAWS))
        request = rq.AuthenticateRequest(user, tokens.hash_of(secret))
        index = await self._proposer.propose(request)
        return tokens.issue(secret, index)

    async def identity_of(self, token: str) -> Identity | None:
        try:
            secret, index = tokens.parse(token)
        except ValueError:
            return None
        user = self._machine.tokens.user_of(secret, self._machine.now())
        if user is None and index > self._proposer.applied_index:
            # Given out by a member that is ahead of this one.
            await self._proposer.linearize()
            user = self._machine.tokens.user_of(secret, self._machine.now())
        return None if user is None else Identity(user, self._machine.auth.revision)


class SignedTokens:
    """JSON Web Tokens, or whatever the signer makes."""

    def __init__(self, machine: StoreStateMachine, proposer: Proposer, signer: Signer) -> None:
        self._machine = machine
        self._proposer = proposer
        self._signer = signer

    async def assign(self, user: str, auth_revision: int) -> str:
        return self._signer.sign(user, auth_revision)

    async def identity_of(self, token: str) -> Identity | None:
        identity = self._signer.identity_of(token)
        if identity is not None:
            auth = self._machine.auth
            if not auth.enabled or identity.auth_revision > auth.revision:
                # Given out by a member that is ahead of this one.
                await self._proposer.linearize()
        return identity
