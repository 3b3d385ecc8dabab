"""Signed tokens: whose they are, until when, and what is none."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.jwt_signer import JwtSigner, UnfitKey

KEY = rsa.generate_private_key(65537, 2048)
SECRET = b"s" * 64
NOW = 1_000_000.0


def signer(method: str = "HS256", *, now: float = NOW) -> JwtSigner:
    if method.startswith("HS"):
        return JwtSigner(method, SECRET, SECRET, ttl=300, clock=lambda: now)
    return JwtSigner(method, KEY.public_key(), KEY, ttl=300, clock=lambda: now)


def made(claims: Any, method: str = "HS256", key: Any = SECRET) -> str:
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, method)


def test_the_claims_are_etcds() -> None:
    token = signer("RS512").sign("anna", 7)
    assert jwt.get_unverified_header(token) == {"alg": "RS512", "typ": "JWT"}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims == {"username": "anna", "revision": 7, "exp": 1_000_300}


def test_it_is_good_until_it_ends() -> None:
    token = signer().sign("anna", 7)
    assert signer(now=NOW + 299).identity_of(token) == Identity("anna", 7)
    assert signer(now=NOW + 300).identity_of(token) is None


@pytest.mark.parametrize(
    "claims",
    [
        {"username": "anna"},
        {"revision": 7},
        {"username": "", "revision": 7},
        {"username": 5, "revision": 7},
        {"username": "anna", "revision": "7"},
        {"username": "anna", "revision": True},
        {"username": "anna", "revision": float("inf")},
        {"username": "anna", "revision": float("nan")},
        {"username": "anna", "revision": 7, "exp": NOW},
        {"username": "anna", "revision": 7, "exp": "soon"},
        {"username": "anna", "revision": 7, "exp": None},
        {"username": "anna", "revision": 7, "exp": NOW + 9, "nbf": NOW + 1},
        ["anna", 7],
        "anna",
    ],
)
def test_what_does_not_say_who_and_since_when_is_nobodys(claims: Any) -> None:
    assert signer().identity_of(made({"username": "anna", "revision": 7.0})) == Identity("anna", 7)
    assert signer().identity_of(made(claims)) is None


def test_only_its_own_method_and_key_count() -> None:
    claims = {"username": "root", "revision": 7}
    public = KEY.public_key()
    assert signer("RS256").identity_of(made(claims, "RS256", KEY)) == Identity("root", 7)
    assert signer("RS256").identity_of(made(claims, "RS512", KEY)) is None
    assert signer("RS256").identity_of(made(claims, "none", None)) is None
    assert signer("RS256").identity_of(made(claims, "HS256")) is None
    other = rsa.generate_private_key(65537, 2048)
    assert signer("RS256").identity_of(made(claims, "RS256", other)) is None
    token = made(claims, "RS256", KEY)
    assert signer("RS256").identity_of(token[:-8] + "AAAAAAAA") is None
    unsigned = token.rpartition(".")[0] + "."
    assert signer("RS256").identity_of(unsigned) is None
    with pytest.raises(UnfitKey):
        JwtSigner("HS256", public, None, ttl=300, clock=lambda: NOW)


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"))
def test_any_text_is_nobodys(text: str) -> None:
    assert signer().identity_of(text) is None


def test_a_payload_of_any_depth_is_nobodys() -> None:
    deep = jwt.PyJWS().encode(b"[" * 100_000, SECRET, "HS256")
    assert signer().identity_of(deep) is None
