"""A request to the API server and its answer, without HTTP.

The whole REST face is one function over these two; an HTTP server and an in-process transport are
thin adapters around it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from podling.controlplane.apiserver.request.authn import ANONYMOUS_USER, User
from podling.controlplane.apiserver.request.negotiation import JSON


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request of a caller who has been identified."""

    method: str
    """Upper case."""
    path: str
    """Absolute, percent-encoded, without the query."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Decoded; of a parameter given several times, the first."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    user: User = ANONYMOUS_USER

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


class Sink(Protocol):
    """Where the body of an answer goes that is written while it is made."""

    @property
    def buffered(self) -> int:
        """Bytes written that the peer has not taken yet."""

    def write(self, data: bytes) -> None:
        """Pass on at once, without waiting; nothing happens once the peer is gone."""

    async def drain(self) -> None:
        """Wait until the peer has taken enough that more may be written."""

    def abort(self) -> None:
        """Break the connection, so that the peer knows that the answer is not complete."""


#: Writes a body into a sink and returns when it is complete. It is cancelled when the peer goes.
Stream = Callable[[Sink], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """One answer: `body`, or a `stream` that writes it."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    """Besides Content-Type and what frames the body. Several warnings are one header, joined with
    commas (RFC 9110, section 5.3)."""
    stream: Stream | None = None


def json_response(
    obj: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> ApiResponse:
    return ApiResponse(status, orjson.dumps(obj), headers=headers or {})
