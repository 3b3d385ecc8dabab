"""What an etcd says when it refuses, in the terms of the storage interface. Pure but for gRPC.

etcd's clients tell errors apart by their text (api/v3rpc/rpctypes), because several share a code.
"""

import grpc

from podling.controlplane.apiserver.storage.etcd_endpoints import NEVER_LEFT
from podling.controlplane.apiserver.storage.interface import (
    FutureRevision,
    NoSpace,
    OutcomeUnknown,
    StorageError,
    TooLarge,
    TooManyRequests,
    Unavailable,
)

_BY_TEXT: tuple[tuple[str, type[StorageError]], ...] = (
    ("mvcc: required revision is a future revision", FutureRevision),
    ("mvcc: database space exceeded", NoSpace),
    ("etcdserver: too many requests", TooManyRequests),
    ("etcdserver: request is too large", TooLarge),
    ("larger than max", TooLarge),
    ("etcdserver: no leader", Unavailable),
    *((text, Unavailable) for text in NEVER_LEFT),
)
COMPACTED = "mvcc: required revision has been compacted"
_MEANT: tuple[tuple[str, str], ...] = (
    ("Unwrap failed", "it ended TLS: an etcd does where it asks for a client's certificate"),
    ("CERTIFICATE_VERIFY_FAILED", "the authority that is trusted has not signed its certificate"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS: its URL is http, not https"),
)
"""What the TLS library says of a connection, and what that mostly comes from."""
_UNANSWERED = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
)


def is_compacted(error: grpc.RpcError) -> bool:
    return COMPACTED in _text(error)


def to_storage_error(error: grpc.RpcError, *, writing: bool) -> StorageError:
    """`writing`: the request changes something, so having no answer means not knowing."""
    text = _text(error)
    for part, kind in _BY_TEXT:
        if part in text:
            return kind(text)
    if isinstance(error, grpc.aio.AioRpcError) and error.code() in _UNANSWERED:
        return OutcomeUnknown(text) if writing else Unavailable(text)
    return StorageError(text)


def _text(error: grpc.RpcError) -> str:
    if not isinstance(error, grpc.aio.AioRpcError):
        return str(error)
    text = error.details() or error.code().name
    meant = [meaning for words, meaning in _MEANT if words in text]
    return "; ".join([text, *meant])
