"""What a front must know to serve a service: each method's path, messages and handler.

A service is a plain object with a method for each of the `.proto`: `HashKV` is `hash_kv`. It gets a
decoded message (or an asynchronous iterator of them) and the caller; what it returns is a message
to be encoded (or an asynchronous iterator of them), and what it refuses raises StoreError. So any
front can serve it: the one on the gRPC library, a faster one, or a test that has none.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from podling.controlplane.store.errors import StoreError

#: (message or messages, caller) -> an awaitable message, or an asynchronous iterator of messages.
Handler = Callable[[Any, Any], Any]


class BadMessage(StoreError):
    """What was sent cannot be decoded; gRPC's own status for it."""

    status = "INTERNAL"
    text = "the bytes that were sent are no message of this method's type"


class Method(NamedTuple):
    """One method of one service."""

    path: str
    """`/package.Service/Method`, as HTTP/2 carries it."""
    request: type[Message]
    response: type[Message]
    streams_in: bool
    """The handler takes an asynchronous iterator of requests."""
    streams_out: bool
    """The handler is an asynchronous iterator of responses; otherwise its answer is awaited."""
    handler: Handler

    def decode(self, data: bytes) -> Any:
        """Raises BadMessage."""
        try:
            return self.request.FromString(data)
        except DecodeError as error:
            raise BadMessage from error


def methods_of(service: ServiceDescriptor, servant: object) -> Mapping[str, Method]:
    """The methods that `servant` has, by path."""
    found = {}
    for method in service.methods:
        handler = getattr(servant, _snake_case(method.name), None)
        if handler is not None:
            path = f"/{service.full_name}/{method.name}"
            found[path] = Method(
                path,
                GetMessageClass(method.input_type),
                GetMessageClass(method.output_type),
                method.client_streaming,
                method.server_streaming,
                handler,
            )
    return found


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
