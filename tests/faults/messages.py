"""Requests to etcd's messages, and its messages to responses: the client's side."""

from collections.abc import Iterable, Sequence
from typing import Any

from podling.controlplane.etcdpb import kv_pb2, rpc_pb2
from podling.controlplane.store import requests as rq
from podling.controlplane.store.key_values import Event, KeyValue, tombstone

_OPERANDS = ("version", "create_revision", "mod_revision", "value", "lease")


def range_message(request: rq.RangeRequest) -> rpc_pb2.RangeRequest:
    return rpc_pb2.RangeRequest(**request._asdict())


def put_message(request: rq.PutRequest) -> rpc_pb2.PutRequest:
    return rpc_pb2.PutRequest(**request._asdict())


def delete_range_message(request: rq.DeleteRangeRequest) -> rpc_pb2.DeleteRangeRequest:
    return rpc_pb2.DeleteRangeRequest(**request._asdict())


def txn_message(request: rq.TxnRequest) -> rpc_pb2.TxnRequest:
    return rpc_pb2.TxnRequest(
        compare=[_compare(each) for each in request.compare],
        success=[_operation(each) for each in request.success],
        failure=[_operation(each) for each in request.failure],
    )


def _compare(compare: rq.Compare) -> rpc_pb2.Compare:
    operand: Any = {_OPERANDS[compare.target]: compare.operand}
    return rpc_pb2.Compare(
        key=compare.key,
        target=int(compare.target),  # type: ignore[arg-type]
        result=int(compare.result),  # type: ignore[arg-type]
        range_end=compare.range_end,
        **operand,
    )


def _operation(request: rq.Operation) -> rpc_pb2.RequestOp:
    if isinstance(request, rq.PutRequest):
        return rpc_pb2.RequestOp(request_put=put_message(request))
    if isinstance(request, rq.RangeRequest):
        return rpc_pb2.RequestOp(request_range=range_message(request))
    if isinstance(request, rq.DeleteRangeRequest):
        return rpc_pb2.RequestOp(request_delete_range=delete_range_message(request))
    return rpc_pb2.RequestOp(request_txn=txn_message(request))


def key_value(message: kv_pb2.KeyValue) -> KeyValue:
    return KeyValue(
        message.key,
        message.value,
        message.create_revision,
        message.mod_revision,
        message.version,
        message.lease,
    )


def _key_values(messages: Iterable[kv_pb2.KeyValue]) -> Sequence[KeyValue]:
    return tuple(key_value(each) for each in messages)


def range_response(message: rpc_pb2.RangeResponse) -> rq.RangeResponse:
    kvs = _key_values(message.kvs)
    return rq.RangeResponse(message.header.revision, kvs, message.more, message.count)


def put_response(message: rpc_pb2.PutResponse) -> rq.PutResponse:
    previous = key_value(message.prev_kv) if message.HasField("prev_kv") else None
    return rq.PutResponse(message.header.revision, previous)


def delete_range_response(message: rpc_pb2.DeleteRangeResponse) -> rq.DeleteRangeResponse:
    kvs = _key_values(message.prev_kvs)
    return rq.DeleteRangeResponse(message.header.revision, message.deleted, kvs)


def txn_response(message: rpc_pb2.TxnResponse) -> rq.TxnResponse:
    responses = tuple(_operation_response(each) for each in message.responses)
    return rq.TxnResponse(message.header.revision, message.succeeded, responses)


def _operation_response(message: rpc_pb2.ResponseOp) -> rq.OperationResponse:
    kind = message.WhichOneof("response")
    if kind == "response_put":
        return put_response(message.response_put)
    if kind == "response_range":
        return range_response(message.response_range)
    if kind == "response_delete_range":
        return delete_range_response(message.response_delete_range)
    return txn_response(message.response_txn)


def event(message: kv_pb2.Event) -> Event:
    deleted = message.type == kv_pb2.Event.DELETE
    kv = key_value(message.kv)
    previous = key_value(message.prev_kv) if message.HasField("prev_kv") else None
    return Event(tombstone(kv.key, kv.mod_revision) if deleted else kv, previous, deleted)
