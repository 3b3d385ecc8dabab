"""etcd's protobuf messages <-> our values. Knows protobuf, not the gRPC library."""

from collections.abc import Callable, Sequence
from typing import Any

from podling.controlplane.etcdpb import kv_pb2, rpc_pb2
from podling.controlplane.store import errors
from podling.controlplane.store import requests as rq
from podling.controlplane.store.key_values import Event, KeyValue

# Messages to requests.


def range_request(message: rpc_pb2.RangeRequest) -> rq.RangeRequest:
    """Raises InvalidSortOption."""
    try:
        order, target = rq.SortOrder(message.sort_order), rq.SortTarget(message.sort_target)
    except ValueError as error:
        raise errors.InvalidSortOption from error
    return rq.RangeRequest(
        message.key,
        message.range_end,
        message.limit,
        message.revision,
        order,
        target,
        message.serializable,
        message.keys_only,
        message.count_only,
        message.min_mod_revision,
        message.max_mod_revision,
        message.min_create_revision,
        message.max_create_revision,
    )


def put_request(message: rpc_pb2.PutRequest) -> rq.PutRequest:
    return rq.PutRequest(
        message.key,
        message.value,
        message.lease,
        message.prev_kv,
        message.ignore_value,
        message.ignore_lease,
    )


def delete_range_request(message: rpc_pb2.DeleteRangeRequest) -> rq.DeleteRangeRequest:
    return rq.DeleteRangeRequest(message.key, message.range_end, message.prev_kv)


def txn_request(message: rpc_pb2.TxnRequest) -> rq.TxnRequest:
    """Raises InvalidSortOption, and KeyNotFound for an operation that is empty, as etcd does."""
    return rq.TxnRequest(
        [_compare(each) for each in message.compare],
        [_operation(each) for each in message.success],
        [_operation(each) for each in message.failure],
    )


_OPERANDS = {
    rq.CompareTarget.VERSION: "version",
    rq.CompareTarget.CREATE: "create_revision",
    rq.CompareTarget.MOD: "mod_revision",
    rq.CompareTarget.VALUE: "value",
    rq.CompareTarget.LEASE: "lease",
}


def _compare(message: rpc_pb2.Compare) -> rq.Compare:
    try:
        target, result = rq.CompareTarget(message.target), rq.CompareResult(message.result)
    except ValueError as error:
        raise errors.InvalidSortOption from error
    operand: int | bytes = getattr(message, _OPERANDS[target])
    return rq.Compare(message.key, target, result, operand, message.range_end)


def _operation(message: rpc_pb2.RequestOp) -> rq.Operation:
    kind = message.WhichOneof("request")
    if kind == "request_put":
        return put_request(message.request_put)
    if kind == "request_range":
        return range_request(message.request_range)
    if kind == "request_delete_range":
        return delete_range_request(message.request_delete_range)
    if kind == "request_txn":
        return txn_request(message.request_txn)
    raise errors.KeyNotFound


_FILTERS = frozenset(int(each) for each in rq.WatchFilter)


def watch_create_request(message: rpc_pb2.WatchCreateRequest) -> rq.WatchCreateRequest:
    """Without a key, everything from the first possible key on is watched."""
    return rq.WatchCreateRequest(
        message.key or b"\0",
        message.range_end,
        message.start_revision,
        message.progress_notify,
        frozenset(rq.WatchFilter(each) for each in message.filters if each in _FILTERS),
        message.prev_kv,
        message.watch_id,
        message.fragment,
    )


# Responses to messages. The header's other fields are the member's.


class ResponseWriter:
    """Makes the responses of one member; `term` tells its raft term now."""

    def __init__(self, cluster_id: int, member_id: int, term: Callable[[], int]) -> None:
        self._cluster_id = cluster_id
        self._member_id = member_id
        self._term = term

    def header(self, revision: int = 0) -> rpc_pb2.ResponseHeader:
        return rpc_pb2.ResponseHeader(
            cluster_id=self._cluster_id,
            member_id=self._member_id,
            revision=revision,
            raft_term=self._term(),
        )

    def range(self, response: rq.RangeResponse) -> rpc_pb2.RangeResponse:
        return _range(response, self.header(response.revision))

    def put(self, response: rq.PutResponse) -> rpc_pb2.PutResponse:
        return _put(response, self.header(response.revision))

    def delete_range(self, response: rq.DeleteRangeResponse) -> rpc_pb2.DeleteRangeResponse:
        return _delete_range(response, self.header(response.revision))

    def txn(self, response: rq.TxnResponse) -> rpc_pb2.TxnResponse:
        return _txn(response, self.header(response.revision))

    def watch(self, response: rq.WatchResponse) -> rpc_pb2.WatchResponse:
        return rpc_pb2.WatchResponse(
            header=self.header(response.revision),
            watch_id=response.watch_id,
            created=response.created,
            canceled=response.canceled,
            compact_revision=max(response.compact_revision, 0),
            cancel_reason=response.cancel_reason,
            fragment=response.fragment,
            events=[_event(each) for each in response.events],
        )


_Header = rpc_pb2.ResponseHeader


def _range(response: rq.RangeResponse, header: _Header) -> rpc_pb2.RangeResponse:
    return rpc_pb2.RangeResponse(
        header=header, kvs=_key_values(response.kvs), more=response.more, count=response.total
    )


def _put(response: rq.PutResponse, header: _Header) -> rpc_pb2.PutResponse:
    previous = response.prev_kv
    return rpc_pb2.PutResponse(
        header=header, prev_kv=key_value(previous) if previous is not None else None
    )


def _delete_range(response: rq.DeleteRangeResponse, header: _Header) -> rpc_pb2.DeleteRangeResponse:
    return rpc_pb2.DeleteRangeResponse(
        header=header, deleted=response.deleted, prev_kvs=_key_values(response.prev_kvs)
    )


def _txn(response: rq.TxnResponse, header: _Header) -> rpc_pb2.TxnResponse:
    return rpc_pb2.TxnResponse(
        header=header,
        succeeded=response.succeeded,
        responses=[_response_op(each) for each in response.responses],
    )


_OPERATIONS: dict[type, tuple[str, Callable[[Any, _Header], Any]]] = {
    rq.RangeResponse: ("response_range", _range),
    rq.PutResponse: ("response_put", _put),
    rq.DeleteRangeResponse: ("response_delete_range", _delete_range),
    rq.TxnResponse: ("response_txn", _txn),
}


def _response_op(response: rq.OperationResponse) -> rpc_pb2.ResponseOp:
    """Within a transaction the header has the revision only."""
    field, write = _OPERATIONS[type(response)]
    return rpc_pb2.ResponseOp(**{field: write(response, _Header(revision=response.revision))})


def key_value(kv: KeyValue) -> kv_pb2.KeyValue:
    return kv_pb2.KeyValue(
        key=kv.key,
        value=kv.value,
        create_revision=kv.create_revision,
        mod_revision=kv.mod_revision,
        version=kv.version,
        lease=kv.lease,
    )


def _key_values(kvs: Sequence[KeyValue]) -> list[kv_pb2.KeyValue]:
    return [key_value(each) for each in kvs]


def _event(event: Event) -> kv_pb2.Event:
    return kv_pb2.Event(
        type=kv_pb2.Event.DELETE if event.deleted else kv_pb2.Event.PUT,
        kv=key_value(event.kv),
        prev_kv=key_value(event.previous) if event.previous is not None else None,
    )
