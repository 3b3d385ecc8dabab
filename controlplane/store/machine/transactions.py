"""Puts, deletes and transactions (etcd: server/etcdserver/txn/txn.go).

A transaction first compares, nested ones included and all on the state before it, which fixes the
branch taken at each level. Then everything that can fail on those branches is checked, before the
first change. What is left cannot fail, so a transaction happens wholly or not at all.
"""

import operator
from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

from podling.controlplane.store import errors
from podling.controlplane.store.key_values import KeyValue
from podling.controlplane.store.machine import ranges
from podling.controlplane.store.machine.mvcc import Mvcc
from podling.controlplane.store.requests import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    DeleteRangeResponse,
    Operation,
    OperationResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    TxnRequest,
    TxnResponse,
)

_MISSING = KeyValue(b"", b"", 0, 0, 0, 0)

_FIELDS: dict[CompareTarget, Callable[[KeyValue], Any]] = {
    CompareTarget.VERSION: operator.attrgetter("version"),
    CompareTarget.CREATE: operator.attrgetter("create_revision"),
    CompareTarget.MOD: operator.attrgetter("mod_revision"),
    CompareTarget.VALUE: operator.attrgetter("value"),
    CompareTarget.LEASE: operator.attrgetter("lease"),
}

_RELATIONS: dict[CompareResult, Callable[[Any, Any], bool]] = {
    CompareResult.EQUAL: operator.eq,
    CompareResult.GREATER: operator.gt,
    CompareResult.LESS: operator.lt,
    CompareResult.NOT_EQUAL: operator.ne,
}


class _Plan(NamedTuple):
    """The branch that a transaction takes."""

    succeeded: bool
    steps: "Sequence[tuple[Operation, _Plan | None]]"
    """Each operation of the branch; nested transactions with their own plan."""


def put(store: Mvcc, leases: Container[int], request: PutRequest) -> PutResponse:
    """Carry out a put, without committing. Raises LeaseNotFound and KeyNotFound.

    In this order, unlike in a transaction, as etcd does. Nothing changes either way.
    """
    _check_lease(leases, request)
    _check_key(store, request)
    return _put(store, request)


def delete_range(store: Mvcc, request: DeleteRangeRequest) -> DeleteRangeResponse:
    """Carry out a deletion, without committing."""
    deleted = store.delete_range(request.key, request.range_end)
    return DeleteRangeResponse(
        store.read_revision, len(deleted), deleted if request.prev_kv else ()
    )


def execute(store: Mvcc, leases: Container[int], request: TxnRequest) -> TxnResponse:
    """Carry out a transaction, without committing.

    Raises KeyNotFound, LeaseNotFound, Compacted and FutureRevision, with nothing changed.
    """
    plan = _plan(store, request)
    operations = _operations(plan)
    # Two passes, because etcd looks at all puts before it looks at any range.
    for operation in operations:
        if isinstance(operation, PutRequest):
            _check_key(store, operation)
            _check_lease(leases, operation)
    for operation in operations:
        if isinstance(operation, RangeRequest):
            store.check_readable(operation.revision)
    return _run(store, plan)


def _plan(store: Mvcc, request: TxnRequest) -> _Plan:
    succeeded = all(_holds(store, compare) for compare in request.compare)
    branch = request.success if succeeded else request.failure
    return _Plan(
        succeeded,
        [(each, _plan(store, each) if isinstance(each, TxnRequest) else None) for each in branch],
    )


def _holds(store: Mvcc, compare: Compare) -> bool:
    key, target, result, operand, range_end = compare
    field, relation = _FIELDS[target], _RELATIONS[result]
    if range_end:
        kvs = store.range(key, range_end).kvs
        if kvs:
            return all(relation(field(kv), operand) for kv in kvs)
    else:
        kv = store.get(key)
        if kv is not None:
            return relation(field(kv), operand)
    # A value has no way to say "missing", so no comparison with one holds.
    return target != CompareTarget.VALUE and relation(field(_MISSING), operand)


def _operations(plan: _Plan) -> list[Operation]:
    """Everything that will be done, nested transactions included."""
    operations: list[Operation] = []
    for request, nested in plan.steps:
        operations += [request] if nested is None else _operations(nested)
    return operations


def _check_key(store: Mvcc, request: PutRequest) -> None:
    if (request.ignore_value or request.ignore_lease) and store.get(request.key) is None:
        raise errors.KeyNotFound


def _check_lease(leases: Container[int], request: PutRequest) -> None:
    if request.lease and request.lease not in leases:
        raise errors.LeaseNotFound


def _run(store: Mvcc, plan: _Plan) -> TxnResponse:
    responses: list[OperationResponse] = []
    for request, nested in plan.steps:
        if nested is not None:
            # etcd leaves the header of nested responses empty.
            responses.append(_run(store, nested)._replace(revision=0))
        elif isinstance(request, PutRequest):
            responses.append(_put(store, request))
        elif isinstance(request, DeleteRangeRequest):
            responses.append(delete_range(store, request))
        elif isinstance(request, RangeRequest):
            responses.append(ranges.execute(store, request))
    return TxnResponse(store.read_revision, plan.succeeded, responses)


def _put(store: Mvcc, request: PutRequest) -> PutResponse:
    value, lease = request.value, request.lease
    if request.ignore_value or request.ignore_lease:
        current = store.get(request.key) or _MISSING
        value = current.value if request.ignore_value else value
        lease = current.lease if request.ignore_lease else lease
    previous = store.put(request.key, value, lease)
    return PutResponse(store.read_revision, previous if request.prev_kv else None)
