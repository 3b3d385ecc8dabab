"""Signed tokens: whose they are, until when, and what is none."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.jwt_signer import JwtSigner, UnfitKey

P256 = ec.generate_private_key(ec.SECP256R1())
PEM = serialization.Encoding.PEM
PUBLIC = serialization.PublicFormat.SubjectPublicKeyInfo
SECRET = b"s" * 64
NOW = 1_000_000.0


def signer(method: str = "HS256", *, now: float = NOW) -> JwtSigner:
    if method.startswith("HS"):
        return JwtSigner(method, SECRET, SECRET, ttl=300, clock=lambda: now)
    return JwtSigner(method, P256.public_key(), P256, ttl=300, clock=lambda: now)


def made(claims: Any, method: str = "HS256", key: Any = SECRET) -> str:
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, method)


def test_the_claims_are_etcds() -> None:
    token = signer("ES256").sign("anna", 7)
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT"}
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
    token = made(claims, "ES256", P256)
    assert signer("ES256").identity_of(token) == Identity("root", 7)
    other = ec.generate_private_key(ec.SECP256R1())
    head = token.rpartition(".")[0]
    for wrong in (
        made(claims, "none", None),
        made(claims, "HS256"),
        made(claims, "ES256", other),
        token[:-8] + "AAAAAAAA",
        f"{head}.",
        head,
    ):
        assert signer("ES256").identity_of(wrong) is None
    assert signer("HS256").identity_of(made(claims, "HS512")) is None
    assert signer("HS256").identity_of(made(claims, "none", None)) is None


def test_a_public_key_is_no_secret() -> None:
    """Or whoever has it could sign with it."""
    for key in (P256.public_key(), P256.public_key().public_bytes(PEM, PUBLIC)):
        with pytest.raises(UnfitKey):
            JwtSigner("HS256", key, None, ttl=300, clock=lambda: NOW)


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"))
def test_any_text_is_nobodys(text: str) -> None:
    assert signer().identity_of(text) is None


def test_a_payload_of_any_depth_is_nobodys() -> None:
    deep = jwt.PyJWS().encode(b"[" * 100_000, SECRET, "HS256")
    assert signer().identity_of(deep) is None
