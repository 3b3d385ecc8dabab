"""How a refused request ends on the wire: etcd's text with etcd's status code."""

from collections.abc import Awaitable
from typing import Any, NoReturn, TypeVar

import grpc.aio

from podling.controlplane.store.errors import StoreError

T = TypeVar("T")

#: What the gRPC library hands to a method; its own types do not say more.
Context = grpc.aio.ServicerContext[Any, Any]


async def abort(context: Context, error: StoreError) -> NoReturn:
    """End the call."""
    await context.abort(grpc.StatusCode[error.status], str(error))
    raise AssertionError("abort raises")


async def answered(context: Context, answer: Awaitable[T]) -> T:
    """Wait for the answer of the store; if it refuses, end the call."""
    try:
        return await answer
    except StoreError as error:
        await abort(context, error)


async def unimplemented(context: Context, service: str, method: str) -> NoReturn:
    """End the call as a server does that has never heard of the method."""
    await context.abort(
        grpc.StatusCode.UNIMPLEMENTED, f"unknown method {method} for service {service}"
    )
    raise AssertionError("abort raises")
