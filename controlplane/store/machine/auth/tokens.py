"""The tokens that a member knows (etcd: server/auth/simple_token.go).

A token is `secret.index`. The member that checked the password draws the secret; only its hash is
replicated, so that no file holds anything to log in with. `index` is that of the log entry from
which on members know the token: one that is asked for a later one is behind, and has to catch up
first. When a token ends is not replicated: each member counts from when it saw it last. Tokens are
in no snapshot, and a member that restarts knows none: those that its log gives out once more may
have ended long ago. A client whose token is not known logs in again.
"""

import hashlib

#: Seconds after its last use until a token is forgotten (etcd: --auth-token-ttl).
TTL = 300.0


def hash_of(secret: str) -> bytes:
    """What is replicated in place of the secret."""
    return hashlib.sha256(secret.encode()).digest()


def issue(secret: str, index: int) -> str:
    """The token to give out, if the entry at `index` made it known."""
    return f"{secret}.{index}"


def parse(token: str) -> tuple[str, int]:
    """(secret, index). Raises ValueError if it is not the form of a token."""
    secret, dot, index = token.partition(".")
    if not dot or not index.isascii() or not index.isdigit():
        raise ValueError("not the form of a token")
    return secret, int(index)


class Tokens:
    """By the hashes of their secrets; `now` is always seconds of one monotonic clock."""

    def __init__(self, ttl: float = TTL) -> None:
        self._ttl = ttl
        self._known: dict[bytes, tuple[str, float]] = {}
        """User and deadline, the next to end about first."""
        self._last_old = 0
        """Tokens of log entries up to this one are not to be known."""

    def __len__(self) -> int:
        return len(self._known)

    def add(self, token_hash: bytes, user: str, index: int, now: float) -> None:
        """Know a token, which the log entry at `index` gives out."""
        if index > self._last_old:
            self._known[token_hash] = (user, now + self._ttl)

    def forget_up_to(self, index: int) -> None:
        """Know no token of an entry that was in the log when this member started."""
        self._last_old = index
        self.clear()

    def user_of(self, secret: str, now: float) -> str | None:
        """Whose token it is, which is good for a whole time-to-live again; None if unknown."""
        token_hash = hash_of(secret)
        user, deadline = self._known.pop(token_hash, ("", 0.0))
        if deadline <= now:
            return None
        self._known[token_hash] = (user, now + self._ttl)
        return user

    def expire(self, now: float) -> None:
        """Forget those whose time is up."""
        for token_hash, (_, deadline) in tuple(self._known.items()):
            if deadline > now:
                return
            del self._known[token_hash]

    def forget_user(self, user: str) -> None:
        """Whoever logged in as `user` must log in again."""
        self._known = {each: known for each, known in self._known.items() if known[0] != user}

    def clear(self) -> None:
        self._known.clear()
