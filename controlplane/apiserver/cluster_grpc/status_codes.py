"""Failures of the API on gRPC: a code, a text, and the whole Status in the trailing metadata."""

from typing import Any, NoReturn

import grpc
import orjson

from podling.controlplane.apiserver.storage import api_errors
from podling.controlplane.apiserver.storage.interface import StorageError
from podling.kube.errors import ApiError

STATUS_METADATA = "podling-status-bin"

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    409: grpc.StatusCode.ABORTED,
    410: grpc.StatusCode.OUT_OF_RANGE,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    # Like a deadline that passed: it may have happened.
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
    507: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def code_of(error: ApiError) -> grpc.StatusCode:
    if error.reason == "AlreadyExists":
        return grpc.StatusCode.ALREADY_EXISTS
    return _CODES.get(error.code, grpc.StatusCode.INTERNAL)


async def abort(context: Any, error: ApiError | StorageError) -> NoReturn:
    """End the call with `error`."""
    if isinstance(error, StorageError):
        error = api_errors.to_api_error(error)
    status = orjson.dumps(error.to_status())
    await context.abort(code_of(error), error.message, ((STATUS_METADATA, status),))
    raise AssertionError("abort raises")
