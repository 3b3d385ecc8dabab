"""What `--auth-token` says: `simple`, or `jwt,OPTION=VALUE,...` (etcd: server/auth).

    pub-key=FILE      PEM: a key, or a certificate; enough to recognise tokens
    priv-key=FILE     PEM, or for HS... the secret itself; to give them out as well
    sign-method=NAME  RS256 and the like; there is no default
    ttl=TIME          how long a token is good; 5m by default

Pure: `token_keys` reads the files. Stricter than etcd, which lets an unknown option pass.
"""

from dataclasses import dataclass
from pathlib import Path

from podling.launcher import flag_values
from podling.launcher.flag_values import SettingsError

FLAG = "auth-token"
SIMPLE = "simple"
JWT = "jwt"
SECRET_METHODS = "HS"
"""What the names of methods begin with whose one key is a secret."""
METHODS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
    "HS256", "HS384", "HS512", "EdDSA",
)  # fmt: skip
"""`none`, which is no signature, is not among them."""
OPTIONS = ("pub-key", "priv-key", "sign-method", "ttl")
DEFAULT_TTL = "5m"


@dataclass(frozen=True, slots=True)
class JwtOptions:
    """At least one of the keys is there."""

    method: str
    public_key: Path | None
    private_key: Path | None
    ttl: float
    """Seconds."""


def parse(text: str) -> JwtOptions | None:
    """None for simple tokens. Raises SettingsError."""
    kind, *parts = text.split(",")
    if kind not in (SIMPLE, JWT):
        raise SettingsError(
            f"--{FLAG}: {kind!r} is not a kind of tokens: write {SIMPLE}, or "
            f"{JWT},priv-key=FILE,sign-method=RS256"
        )
    if kind == SIMPLE and parts:
        raise SettingsError(f"--{FLAG}: {SIMPLE} takes no options, such as {parts[0]!r}")
    return _jwt(_options(parts)) if kind == JWT else None


def _options(parts: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in parts:
        name, _, value = part.partition("=")
        if name not in OPTIONS or not value:
            raise SettingsError(
                f"--{FLAG}: {part!r} is not an option of {JWT}; they are NAME=VALUE, with the "
                f"names {', '.join(OPTIONS)}"
            )
        if name in options:
            raise SettingsError(f"--{FLAG}: {name} is there twice")
        options[name] = value
    return options


def _jwt(options: dict[str, str]) -> JwtOptions:
    method = options.get("sign-method", "")
    if method not in METHODS:
        found = f"sign-method={method} is not" if method else "sign-method is missing; it must be"
        raise SettingsError(f"--{FLAG}: {found} one of {', '.join(METHODS)}")
    public_key = flag_values.path(options.get("pub-key", ""))
    private_key = flag_values.path(options.get("priv-key", ""))
    if method.startswith(SECRET_METHODS):
        if private_key is None or public_key is not None:
            raise SettingsError(f"--{FLAG}: {method} has one key, its secret: priv-key=FILE")
    elif private_key is None and public_key is None:
        raise SettingsError(
            f"--{FLAG}: the key is missing: priv-key=FILE, or pub-key=FILE for a member at which "
            "nobody logs in"
        )
    ttl = flag_values.duration(f"{FLAG}: ttl", options.get("ttl", DEFAULT_TTL))
    if ttl < 1:
        raise SettingsError(f"--{FLAG}: ttl={options['ttl']} is too short: at least 1s")
    return JwtOptions(method, public_key, private_key, ttl)
