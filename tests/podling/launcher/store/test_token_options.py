"""`--auth-token`: etcd's options, and an error for what is none."""

from pathlib import Path

import pytest

from podling.launcher.flag_values import SettingsError
from podling.launcher.store.token_options import JwtOptions, parse


def test_tokens_are_simple_or_signed() -> None:
    assert parse("simple") is None
    assert parse("jwt,pub-key=a.pub,priv-key=a.key,sign-method=RS512,ttl=10m") == JwtOptions(
        "RS512", Path("a.pub"), Path("a.key"), 600.0
    )


def test_what_is_not_told_is_etcds_default() -> None:
    assert parse("jwt,sign-method=ES256,pub-key=a.pub") == JwtOptions(
        "ES256", Path("a.pub"), None, 300.0
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is not a kind of tokens"),
        ("JWT", "'JWT' is not a kind of tokens"),
        ("simple,ttl=5m", "simple takes no options, such as 'ttl=5m'"),
        ("jwt", "sign-method is missing; it must be one of RS256"),
        ("jwt,priv-key=k", "sign-method is missing"),
        ("jwt,priv-key=k,sign-method=none", "sign-method=none is not one of RS256"),
        ("jwt,priv-key=k,sign-method=rs256", "sign-method=rs256 is not one of RS256"),
        ("jwt,sign-method=RS256", "the key is missing"),
        ("jwt,sign-method=HS256,pub-key=k", "HS256 has one key"),
        ("jwt,sign-method=HS256,pub-key=k,priv-key=k", "HS256 has one key"),
        ("jwt,sign-method=RS256,priv-key=k,color=red", "'color=red' is not an option of jwt"),
        ("jwt,sign-method=RS256,priv-key", "'priv-key' is not an option of jwt"),
        ("jwt,sign-method=RS256,priv-key=", "'priv-key=' is not an option of jwt"),
        ("jwt,sign-method=RS256,,priv-key=k", "'' is not an option of jwt"),
        ("jwt,sign-method=RS256,priv-key=k,priv-key=l", "priv-key is there twice"),
        ("jwt,sign-method=RS256,priv-key=k,ttl=soon", "--auth-token: ttl: 'soon' is not a dur"),
        ("jwt,sign-method=RS256,priv-key=k,ttl=0s", "ttl=0s is too short"),
        ("jwt,sign-method=RS256,priv-key=k,ttl=-5m", "'-5m' is not a duration"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match="--auth-token") as refused:
        parse(text)
    assert words in str(refused.value)
