"""Reads the keys of `--auth-token=jwt,...`, and tries them.

Imported when they are wanted: the libraries take their time.
"""

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from podling.aiokit.clock import WallClock
from podling.controlplane.store.jwt_signer import JwtSigner, UnfitKey
from podling.launcher.errors import LauncherError
from podling.launcher.store.token_options import FLAG, SECRET_METHODS, JwtOptions

CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class TokenKeyError(LauncherError):
    """A file of a key that cannot be used; the text says which, and why, and nothing of the key."""


def signer(options: JwtOptions, clock: WallClock) -> JwtSigner:
    """Raises TokenKeyError."""
    private_key = public_key = None
    if options.method.startswith(SECRET_METHODS):
        assert options.private_key is not None  # the options demand it
        private_key = public_key = _read("priv-key", options.private_key)
    if private_key is None and options.private_key is not None:
        private_key = _private_key(options.private_key)
        public_key = private_key.public_key()
    if options.public_key is not None:
        given = _public_key(options.public_key)
        if public_key is not None and public_key != given:
            raise TokenKeyError(
                f"--{FLAG}: pub-key={options.public_key} is not the public key of "
                f"priv-key={options.private_key}"
            )
        public_key = given
    try:
        return JwtSigner(options.method, public_key, private_key, options.ttl, clock)
    except UnfitKey as error:
        named, path = "priv-key", options.private_key
        if path is None:
            named, path = "pub-key", options.public_key
        raise TokenKeyError(f"--{FLAG}: {named}={path}: {error}") from None


def _private_key(path: Path) -> Any:
    data = _read("priv-key", path)
    try:
        return serialization.load_pem_private_key(data, password=None)
    except TypeError:
        raise TokenKeyError(
            f"--{FLAG}: priv-key={path} is encrypted, which nobody could be asked to decrypt"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise TokenKeyError(f"--{FLAG}: priv-key={path} is not a private key in PEM form") from None


def _public_key(path: Path) -> Any:
    data = _read("pub-key", path)
    try:
        if CERTIFICATE in data:
            return x509.load_pem_x509_certificate(data).public_key()
        return serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise TokenKeyError(
            f"--{FLAG}: pub-key={path} is not a public key, or a certificate, in PEM form"
        ) from None


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TokenKeyError(f"--{FLAG}: {option}: {error}") from None
