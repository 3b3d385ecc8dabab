"""How many calls clients made, by method and how each ended; and how much they sent and were sent.

Numbers alone, so that counting costs a call next to nothing; `metrics` tells them.
"""

import asyncio
from collections import Counter

from podling.controlplane.store.errors import StoreError

OK = "OK"
CANCELLED = "CANCELLED"
UNKNOWN = "UNKNOWN"
_KINDS = {
    (False, False): "unary",
    (False, True): "server_stream",
    (True, False): "client_stream",
    (True, True): "bidi_stream",
}


class MethodCalls:
    """Those of one method."""

    __slots__ = ("failures", "kind", "method", "service", "started", "succeeded")

    def __init__(self, path: str, *, streams_in: bool, streams_out: bool) -> None:
        """`path` is `/package.Service/Method`."""
        self.service, _, self.method = path.removeprefix("/").partition("/")
        self.kind = _KINDS[streams_in, streams_out]
        """As Prometheus has it for gRPC: `unary`, `bidi_stream`."""
        self.started = 0
        self.succeeded = 0
        self.failures: Counter[str] = Counter()
        """By the name of gRPC's status code."""

    def failed(self, error: BaseException) -> None:
        """A call ended with this."""
        if isinstance(error, StoreError):
            self.failures[error.status] += 1
        elif isinstance(error, asyncio.CancelledError):
            self.failures[CANCELLED] += 1
        else:
            self.failures[UNKNOWN] += 1


class ClientCalls:
    """Those of all listeners of one member."""

    __slots__ = ("methods", "received_bytes", "sent_bytes")

    def __init__(self) -> None:
        self.methods: dict[str, MethodCalls] = {}
        """By path."""
        self.received_bytes = 0
        """Of messages, without what carries them."""
        self.sent_bytes = 0

    def of(self, path: str, *, streams_in: bool, streams_out: bool) -> MethodCalls:
        """To be asked once, when the method is bound."""
        known = self.methods.get(path)
        if known is None:
            known = MethodCalls(path, streams_in=streams_in, streams_out=streams_out)
            self.methods[path] = known
        return known
