"""Where the next page of a list begins. Pure.

A token is opaque to clients. It holds the revision of the whole list and the first key that has not
been shown, relative to the range that is listed:

    {"v": "meta.k8s.io/v1", "rv": 42, "start": "default/web-1\\u0000"}   as base64

Revision -1 stands for a list that goes on in the present, because the revision it began with is
forgotten. Source: k8s.io/apiserver's storage/continue.go.
"""

import base64
import binascii
from typing import NamedTuple

import orjson

from podling.kube import errors

VERSION = "meta.k8s.io/v1"
INCONSISTENT = -1


class Position(NamedTuple):
    revision: int
    start: bytes
    """A whole key."""


def encode(position: Position, prefix: bytes) -> str:
    """`prefix` is the listed range, with which the start begins."""
    start = position.start.removeprefix(prefix).decode()
    text = orjson.dumps({"v": VERSION, "rv": position.revision, "start": start})
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def decode(token: str, prefix: bytes) -> Position:
    """Raises errors.BadRequest."""
    try:
        padded = token + "=" * (-len(token) % 4)
        content = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        version, revision, start = content["v"], content["rv"], content["start"]
    except (ValueError, binascii.Error, KeyError, TypeError) as error:
        raise errors.BadRequest(f"continue key is not valid: {error}") from error
    if version != VERSION or type(revision) is not int or type(start) is not str:
        raise errors.BadRequest("continue key is not valid: not one of this server's")
    if revision == 0 or revision < INCONSISTENT or ".." in start.split("/"):
        raise errors.BadRequest("continue key is not valid: its position cannot be")
    return Position(revision, prefix + start.encode())


class ContinueExpired(errors.Expired):
    """The list a token belongs to is forgotten; `token` goes on in the present instead."""

    def __init__(self, token: str) -> None:
        super().__init__(
            "The provided continue parameter is too old to display a consistent list result. "
            "Start a new list without it, or use the continue token in this response to get the "
            "rest as it is now; what changed in between may then be missing or appear twice."
        )
        self._token = token

    def to_status(self) -> dict[str, object]:
        return {**super().to_status(), "metadata": {"continue": self._token}}
