"""Signs JSON Web Tokens, and reads those that are shown (etcd: server/auth/jwt.go; RFC 7519).

The claims are etcd's: `username`, `revision` (of the auth store, at which the token was given out)
and `exp`, in seconds since the Unix epoch. So a token that etcd has signed is good here, and one of
ours there.
"""

import json
from typing import Any, TypeGuard

import jwt

from podling.aiokit.clock import WallClock
from podling.controlplane.store import errors
from podling.controlplane.store.auth_requests import Identity


class UnfitKey(ValueError):
    """A key of another kind than the method's, or too short for it; says which."""


class JwtSigner:
    """With one method and one key; a token that says another is not looked at."""

    def __init__(
        self, method: str, public_key: Any, private_key: Any, ttl: float, clock: WallClock
    ) -> None:
        """Keys are of `cryptography`, or for HS... the same bytes twice; a token is good for `ttl`
        seconds. Without `private_key` it only reads. Raises UnfitKey."""
        self._method = method
        self._ttl = ttl
        self._clock = clock
        self._jws = jwt.PyJWS([method])
        self._public_key = self._fitting(public_key)
        self._private_key = None if private_key is None else self._fitting(private_key)

    def sign(self, user: str, auth_revision: int) -> str:
        """Raises VerifyOnly."""
        if self._private_key is None:
            raise errors.VerifyOnly
        ends = int(self._clock() + self._ttl)
        claims = {"username": user, "revision": auth_revision, "exp": ends}
        return self._jws.encode(json.dumps(claims).encode(), self._private_key, self._method)

    def identity_of(self, token: str) -> Identity | None:
        """Whose token it is; None if it is nobody's, or its time is not now."""
        try:
            payload = self._jws.decode(token, self._public_key, [self._method])
            claims = json.loads(payload)
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None
        if not isinstance(claims, dict) or not self._is_now(claims):
            return None
        user, revision = claims.get("username"), claims.get("revision")
        if not isinstance(user, str) or not user or not _is_number(revision):
            return None
        return Identity(user, int(revision))

    def _is_now(self, claims: dict[str, Any]) -> bool:
        """What a token does not say does not bound it."""
        now = self._clock()
        ends, begins = claims.get("exp", now + 1), claims.get("nbf", now)
        return _is_number(ends) and _is_number(begins) and begins <= now < ends

    def _fitting(self, key: Any) -> Any:
        algorithm = self._jws.get_algorithm_by_name(self._method)
        try:
            fitting = algorithm.prepare_key(key)
        except jwt.InvalidKeyError as error:
            raise UnfitKey(f"not a key for {self._method}: {error}") from None
        except TypeError:
            raise UnfitKey(f"not a key for {self._method}") from None
        if (weakness := algorithm.check_key_length(fitting)) is not None:
            raise UnfitKey(weakness)
        return fitting


def _is_number(value: object) -> TypeGuard[int | float]:
    """Without infinity, and what is none: JSON in Python has both."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 2**64
