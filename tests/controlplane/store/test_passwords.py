"""Passwords and their hashes: what fits, what is refused, and how many at once."""

import asyncio
from collections.abc import Iterator

import bcrypt
import pytest

from podling.controlplane.store import errors, passwords
from podling.controlplane.store.passwords import BcryptPasswords


@pytest.fixture
def cheap() -> Iterator[BcryptPasswords]:
    hashed = BcryptPasswords(4)
    yield hashed
    hashed.close()


@pytest.mark.parametrize("password", ["secret", "", "pässword", "nul\0inside", "x" * 72])
async def test_a_password_fits_its_own_hash_only(cheap: BcryptPasswords, password: str) -> None:
    hashed = await cheap.hash(password)
    assert hashed != await cheap.hash(password), "salted"
    assert await cheap.fits(password, hashed)
    for other in (password[:-1] + "?", "", "secret", password + "x"):
        if other != password:
            assert not await cheap.fits(other, hashed)


async def test_a_hash_made_by_others_is_as_good(cheap: BcryptPasswords) -> None:
    """Go's library, and so etcd, writes the version 2a."""
    for prefix in (b"2a", b"2b"):
        assert await cheap.fits("secret", bcrypt.hashpw(b"secret", bcrypt.gensalt(5, prefix)))


@pytest.mark.parametrize(
    "wrong", [b"", b"x", b"$2b$04$", b"\0" * 60, b"$2b$xx$" + b"a" * 53, b"$2b$31$" + b"a" * 53]
)
async def test_what_is_no_hash_or_would_take_days_fits_nothing(
    cheap: BcryptPasswords, wrong: bytes
) -> None:
    for password in ("", "secret"):
        assert not await cheap.fits(password, wrong)


async def test_a_password_that_would_be_cut_is_refused(cheap: BcryptPasswords) -> None:
    for password in ("x" * 73, "ä" * 37):
        with pytest.raises(errors.PasswordTooLong):
            await cheap.hash(password)


async def test_only_so_many_stand_in_line(
    cheap: BcryptPasswords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 3)
    outcomes = await asyncio.gather(
        *(cheap.hash("secret") for _ in range(5)), return_exceptions=True
    )
    refused = [each for each in outcomes if isinstance(each, errors.TooManyRequests)]
    assert len(refused) == 2
    await cheap.hash("secret")
