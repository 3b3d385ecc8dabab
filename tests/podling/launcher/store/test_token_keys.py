"""Keys for tokens: read and tried before the member starts."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.store import errors
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.jwt_signer import JwtSigner
from podling.launcher.certificates import Authority, Subject
from podling.launcher.store import token_keys
from podling.launcher.store.token_keys import TokenKeyError
from podling.launcher.store.token_options import parse

PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
PUBLIC = serialization.PublicFormat.SubjectPublicKeyInfo
P256 = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """Made when it is wanted; it takes a moment."""
    return rsa.generate_private_key(65537, 2048)


def private(path: Path, key: Any, password: bytes = b"") -> Path:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    path.write_bytes(key.private_bytes(PEM, PKCS8, encryption))
    return path


def public(path: Path, key: Any) -> Path:
    path.write_bytes(key.public_key().public_bytes(PEM, PUBLIC))
    return path


def signer(text: str) -> JwtSigner:
    options = parse(f"jwt,{text}")
    assert options is not None
    return token_keys.signer(options, system_wall_clock)


@pytest.mark.parametrize(
    ("method", "make"),
    [("RS512", rsa_key), ("PS256", rsa_key), ("ES256", lambda: P256), ("EdDSA", lambda: ED25519)],
    ids=["RS512", "PS256", "ES256", "EdDSA"],
)
def test_who_has_the_public_key_only_recognises_tokens(
    tmp_path: Path, method: str, make: Callable[[], Any]
) -> None:
    key = make()
    key_file, public_file = private(tmp_path / "a.key", key), public(tmp_path / "a.pub", key)
    signs = signer(f"sign-method={method},priv-key={key_file},pub-key={public_file}")
    reads = signer(f"sign-method={method},pub-key={public_file}")
    token = signs.sign("anna", 3)
    assert reads.identity_of(token) == signs.identity_of(token) == Identity("anna", 3)
    with pytest.raises(errors.VerifyOnly, match="verify-only key"):
        reads.sign("anna", 3)


def test_the_public_key_may_be_that_of_a_certificate(tmp_path: Path) -> None:
    certificate, key = tmp_path / "a.crt", tmp_path / "a.key"
    Authority.create("tokens", system_wall_clock).issue(Subject("a", (), [], []), certificate, key)
    signs = signer(f"sign-method=ES256,pub-key={certificate},priv-key={key}")
    assert signs.identity_of(signs.sign("anna", 1)) == Identity("anna", 1)


def test_a_secret_is_taken_as_it_is(tmp_path: Path) -> None:
    """With the end of its line, as etcd takes it."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * 31 + b"\n")
    signs = signer(f"sign-method=HS256,priv-key={secret}")
    assert signs.identity_of(signs.sign("anna", 1)) == Identity("anna", 1)


def refused(text: str) -> str:
    with pytest.raises(TokenKeyError) as error:
        signer(text)
    return str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for option in ("pub-key", "priv-key"):
        told = refused(f"sign-method=RS256,{option}={tmp_path / 'none'}")
        assert f"--auth-token: {option}" in told and "none" in told and "No such file" in told
        assert "Is a directory" in refused(f"sign-method=RS256,{option}={tmp_path}")


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    nothing, key = tmp_path / "nothing", private(tmp_path / "a.key", P256)
    nothing.write_text("-----BEGIN CERTIFICATE-----\nsecret words\n")
    public_file = public(tmp_path / "a.pub", P256)
    for text, words in (
        (f"priv-key={nothing}", "nothing is not a private key in PEM form"),
        (f"pub-key={nothing}", "nothing is not a public key, or a certificate"),
        (f"priv-key={public_file}", "a.pub is not a private key in PEM form"),
        (f"pub-key={key}", "a.key is not a public key, or a certificate"),
        (f"priv-key={private(tmp_path / 'locked', P256, b'p')}", "locked is encrypted"),
    ):
        told = refused(f"sign-method=ES256,{text}")
        assert words in told and "secret words" not in told


def test_a_key_of_another_kind_or_too_short_is_refused(tmp_path: Path) -> None:
    curve, weak = tmp_path / "ec.key", tmp_path / "weak.key"
    private(curve, P256)
    private(weak, rsa.generate_private_key(65537, 1024))
    short = tmp_path / "short"
    short.write_bytes(b"hunter2")
    for text, words in (
        (f"sign-method=RS256,priv-key={curve}", "ec.key: not a key for RS256"),
        (f"sign-method=ES512,priv-key={curve}", "ec.key: not a key for ES512"),
        (f"sign-method=RS256,priv-key={weak}", "1024 bits"),
        (f"sign-method=HS256,priv-key={short}", "7 bytes"),
        (f"sign-method=HS256,priv-key={curve}", "ec.key: not a key for HS256"),
    ):
        told = refused(text)
        assert words in told and "hunter2" not in told


def test_two_keys_that_are_not_a_pair_are_refused(tmp_path: Path) -> None:
    other = public(tmp_path / "other.pub", ec.generate_private_key(ec.SECP256R1()))
    key = private(tmp_path / "a.key", P256)
    told = refused(f"sign-method=ES256,pub-key={other},priv-key={key}")
    assert "other.pub is not the public key of" in told
