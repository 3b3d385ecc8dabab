"""Binds handlers to the gRPC library: who calls, what is refused, messages to bytes and back.

With `grpc_listener` the only file of the store that knows the library.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio

from podling.controlplane.store.client_calls import ClientCalls, MethodCalls
from podling.controlplane.store.errors import StoreError
from podling.controlplane.store.etcd.caller import ANYBODY, Caller
from podling.controlplane.store.etcd.methods import Method

#: What the library hands to a method; its own types do not say more.
Context = grpc.aio.ServicerContext[Any, Any]
Behavior = Callable[[Any, Context], Awaitable[Any]]
CallerOf = Callable[[Context], Caller]
Serialize = Callable[[Any], bytes]
#: Generic in the library's stubs only.
Bound: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class GrpcAdapter(grpc.GenericRpcHandler):
    """Serves methods by path. One that a known service does not have is UNIMPLEMENTED."""

    def __init__(
        self, methods: Mapping[str, Method], calls: ClientCalls, *, certificates: bool
    ) -> None:
        """`certificates`: callers have shown one, and it says who they are."""
        caller = _certified_caller if certificates else _caller
        self._bound = {path: _bind(method, calls, caller) for path, method in methods.items()}
        self._services = {_service_of(path) for path in methods}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Bound | None":
        path = handler_call_details.method
        bound = self._bound.get(path)
        if bound is None and _service_of(path) in self._services:
            return _unknown(path)
        return bound


def _bind(method: Method, calls: ClientCalls, caller_of: CallerOf) -> Bound:
    """The library calls stream methods that are coroutines too: they write what they answer."""
    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[method.streams_in, method.streams_out]
    own = calls.of(method.path, streams_in=method.streams_in, streams_out=method.streams_out)
    behavior = (_streaming if method.streams_out else _answering)(method, own, caller_of)
    bound: Bound = make(
        behavior,
        # Requests come as bytes: of what it cannot decode itself the library logs a traceback.
        request_deserializer=_counted_in(calls),
        response_serializer=_counted_out(calls, method.response.SerializeToString),
    )
    return bound


def _counted_in(calls: ClientCalls) -> Callable[[bytes], bytes]:
    def pass_on(data: bytes) -> bytes:
        calls.received_bytes += len(data)
        return data

    return pass_on


def _counted_out(calls: ClientCalls, serialize: Serialize) -> Serialize:
    def encode(message: Any) -> bytes:
        data = serialize(message)
        calls.sent_bytes += len(data)
        return data

    return encode


def _answering(method: Method, calls: MethodCalls, caller_of: CallerOf) -> Behavior:
    handler, decode = method.handler, method.decode

    async def answer(request: bytes, context: Context) -> Any:
        calls.started += 1
        try:
            response = await handler(decode(request), caller_of(context))
        except BaseException as error:
            calls.failed(error)
            if isinstance(error, StoreError):
                await _abort(context, error)
            raise
        calls.succeeded += 1
        return response

    return answer


def _streaming(method: Method, calls: MethodCalls, caller_of: CallerOf) -> Behavior:
    handler = method.handler
    decode: Callable[[Any], Any] = method.decode
    if method.streams_in:
        decode = partial(_decoded, method)

    async def answer(request: Any, context: Context) -> None:
        calls.started += 1
        try:
            async with aclosing(handler(decode(request), caller_of(context))) as responses:
                async for response in responses:
                    await context.write(response)
        except BaseException as error:
            calls.failed(error)
            if isinstance(error, StoreError):
                await _abort(context, error)
            raise
        calls.succeeded += 1

    return answer


async def _decoded(method: Method, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for request in requests:
        yield method.decode(request)


async def _abort(context: Context, error: StoreError) -> NoReturn:
    await context.abort(grpc.StatusCode[error.status], str(error))
    raise AssertionError("abort raises")


def _unknown(path: str) -> Bound:
    text = f"unknown method {path.rpartition('/')[2]} for service {_service_of(path)}"

    async def refuse(_requests: AsyncIterator[bytes], context: Context) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

    return grpc.stream_stream_rpc_method_handler(refuse)


def _service_of(path: str) -> str:
    return path.rpartition("/")[0].removeprefix("/")


def _caller(context: Context, certificate_name: str = "") -> Caller:
    token, requires_leader = "", False
    for key, value in context.invocation_metadata() or ():
        if key in ("token", "authorization"):
            token = str(value)
        elif key == "hasleader":
            requires_leader = value == "true"
    if token or certificate_name or requires_leader:
        return Caller(token, certificate_name, requires_leader)
    return ANYBODY


def _certified_caller(context: Context) -> Caller:
    names = context.auth_context().get("x509_common_name", ())
    return _caller(context, next((each.decode(errors="replace") for each in names), ""))
