"""Hashing passwords, which is slow on purpose: in a thread, and not many at once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import bcrypt

from podling.controlplane.store import errors

MAX_WAITING = 100
"""Passwords in line; beyond, who asks is refused. One takes about 50 ms at the default cost."""

MAX_BYTES = 72
"""bcrypt does not look further; a longer password would be weaker than it seems."""

MAX_COST = 16
"""Of hashes made elsewhere, unless this member's own is higher: 5 s or so. At 31 it were days."""

T = TypeVar("T")


class Passwords(Protocol):
    """How passwords become hashes; a simulation has its own."""

    async def hash(self, password: str) -> bytes:
        """What is kept in place of `password`. Raises PasswordTooLong and TooManyRequests."""

    async def fits(self, password: str, password_hash: bytes) -> bool:
        """Whether the hash is of `password`. Raises TooManyRequests."""

    def close(self) -> None:
        """Give back what it holds; hashing under way is not waited for."""


class BcryptPasswords:
    """As etcd keeps them: bcrypt, with `cost` doublings of the work (etcd: --bcrypt-cost)."""

    def __init__(self, cost: int) -> None:
        self._cost = cost
        self._executor: ThreadPoolExecutor | None = None
        self._waiting = 0

    async def hash(self, password: str) -> bytes:
        data = password.encode()
        if len(data) > MAX_BYTES:
            raise errors.PasswordTooLong
        return await self._run(lambda: bcrypt.hashpw(data, bcrypt.gensalt(self._cost)))

    async def fits(self, password: str, password_hash: bytes) -> bool:
        if not self._is_affordable(password_hash):
            return False
        return await self._run(lambda: _fits(password.encode(), password_hash))

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    def _is_affordable(self, password_hash: bytes) -> bool:
        """Whether it says what it costs (`$2b$10$...`), and that is not too much."""
        cost = password_hash[4:6]
        return cost.isdigit() and int(cost) <= max(self._cost, MAX_COST)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise errors.TooManyRequests
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._waiting -= 1


def _fits(password: bytes, password_hash: bytes) -> bool:
    try:
        return len(password) <= MAX_BYTES and bcrypt.checkpw(password, password_hash)
    except ValueError:
        # Somebody stored what is no hash; nothing fits.
        return False
