"""gRPC's side of the calls: the only file here that knows gRPC.

A call is a plain function from request to response, named and typed after its CRI method, so that
the method table is read off the functions themselves. What is not in it answers UNIMPLEMENTED.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from podling.aiokit.tasks import TaskSet
from podling.node.cripb import api_pb2 as cri
from podling.node.runtime.cri.cri_errors import CriError
from podling.node.runtime.cri.events import EventStream

log = logging.getLogger(__name__)

Call = Callable[[Any], Awaitable[Any]]

CANCELLABLE = frozenset({"ExecSync"})
"""Calls that end with their caller. All others go on to their end once they have begun: a kubelet
that dies while it starts a container must not leave half of one."""


def runtime_service(
    calls: Iterable[Callable[..., Awaitable[object]]],
    events: EventStream,
    tasks: TaskSet,
) -> grpc.GenericRpcHandler:
    handlers = _unary(calls, tasks)

    async def get_container_events(
        request: cri.GetEventsRequest,
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> AsyncIterator[cri.ContainerEventResponse]:
        subscription = events.subscribe()
        try:
            # Lets the reader know that it is subscribed, before anything happens.
            await context.send_initial_metadata(())
            while (event := await subscription.next()) is not None:
                yield event
        except CriError as error:
            await _abort(context, error)
        finally:
            subscription.close()

    handlers["GetContainerEvents"] = grpc.unary_stream_rpc_method_handler(
        get_container_events,
        request_deserializer=cri.GetEventsRequest.FromString,
        response_serializer=cri.ContainerEventResponse.SerializeToString,
    )
    return _service("runtime.v1.RuntimeService", handlers)


def image_service(
    calls: Iterable[Callable[..., Awaitable[object]]], tasks: TaskSet
) -> grpc.GenericRpcHandler:
    return _service("runtime.v1.ImageService", _unary(calls, tasks))


def _service(
    name: str, handlers: dict[str, "grpc.RpcMethodHandler[Any, Any]"]
) -> grpc.GenericRpcHandler:
    service: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(name, handlers)
    return service


def _unary(
    calls: Iterable[Callable[..., Awaitable[object]]], tasks: TaskSet
) -> dict[str, "grpc.RpcMethodHandler[Any, Any]"]:
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for call in calls:
        signature = inspect.signature(call)
        request_type: type[Message] = signature.parameters["request"].annotation
        handlers[call.__name__] = grpc.unary_unary_rpc_method_handler(
            _guarded(call, tasks),
            request_deserializer=request_type.FromString,
            response_serializer=signature.return_annotation.SerializeToString,
        )
    return handlers


def _guarded(call: Call, tasks: TaskSet) -> Callable[..., Awaitable[Any]]:
    name = call.__name__

    async def handle(request: Message, context: "grpc.aio.ServicerContext[Any, Any]") -> Any:
        if name in CANCELLABLE:
            outcome = await _outcome(call, request)
        else:
            outcome = await asyncio.shield(tasks.spawn(_outcome(call, request), name=name))
        if isinstance(outcome, CriError):
            await _abort(context, outcome)
        return outcome

    return handle


async def _outcome(call: Call, request: Message) -> Any:
    """The response, or the CriError that stands for it: a refusal is no death of a task."""
    try:
        return await call(request)
    except CriError as error:
        return error
    except OSError as error:
        log.error("%s failed: %s", call.__name__, error, exc_info=error)
        return CriError("unknown", str(error))


async def _abort(context: "grpc.aio.ServicerContext[Any, Any]", error: CriError) -> None:
    await context.abort(grpc.StatusCode[error.code.upper()], str(error))
