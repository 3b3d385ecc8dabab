"""How bytes reach an API server: over HTTPS, or called in the same process.

The client speaks to this interface only. A simulation and a component that shares the API server's
process hand in a transport without sockets; everybody else uses `HttpTransport`.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to an API server."""

    method: str
    """Upper case."""
    path: str
    """Absolute, percent-encoded, without the query: `/api/v1/namespaces/default/pods`."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Decoded parameters."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class HttpStream(Protocol):
    """An answer that is read while it is being written: a watch, or a log that is followed.

    Iterating gives pieces of the body as they come, cut anywhere. It ends when the server ends it
    and raises TransportError if the connection is lost. `close()` ends it from this side.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def close(self) -> None: ...


class TransportError(Exception):
    """The server could not be reached, or the connection broke before the answer was complete.

    A request that writes may or may not have been carried out.
    """


class Transport(Protocol):
    """Carries requests to one API server, or to one of several equal ones."""

    async def request(self, request: HttpRequest, *, timeout: float) -> HttpResponse:
        """Send and wait for the whole answer, whatever its status, for at most `timeout` seconds.

        Raises TransportError, also when the time is up.
        """

    async def stream(self, request: HttpRequest, *, timeout: float) -> HttpStream:
        """Send and wait, for at most `timeout` seconds, until the answer begins."""

    async def close(self) -> None:
        """Give up all connections."""
