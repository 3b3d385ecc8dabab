"""What is wrong with a request whatever the store holds (etcd: server/etcdserver/api/v3rpc/key.go).

Checked by the member that is asked, before anything is proposed.
"""

from collections.abc import Sequence

from podling.controlplane.store import errors
from podling.controlplane.store.machine.key_ranges import KeyRanges
from podling.controlplane.store.requests import (
    DeleteRangeRequest,
    Operation,
    PutRequest,
    RangeRequest,
    TxnRequest,
)

LISTS = 16
"""Full lists that a transaction may come to, its nested ones included."""


def check_range(request: RangeRequest) -> None:
    """Raises EmptyKey."""
    if not request.key:
        raise errors.EmptyKey


def check_put(request: PutRequest) -> None:
    """Raises EmptyKey, ValueProvided and LeaseProvided."""
    if not request.key:
        raise errors.EmptyKey
    if request.ignore_value and request.value:
        raise errors.ValueProvided
    if request.ignore_lease and request.lease:
        raise errors.LeaseProvided


def check_delete_range(request: DeleteRangeRequest) -> None:
    """Raises EmptyKey."""
    if not request.key:
        raise errors.EmptyKey


def check_txn(request: TxnRequest, max_ops: int) -> None:
    """Raises TooManyOps, DuplicateKey, and what is wrong with an operation.

    `max_ops` bounds each list of the request; a nested transaction has what its parent left over,
    so that depth is bounded too. As breadth at every depth would still come to far more than can
    be applied in one piece, `LISTS` times as many are the most in all (not so in etcd).
    """
    _check_operations(request, max_ops, LISTS * max_ops)
    _written(request.success)
    _written(request.failure)


def _check_operations(request: TxnRequest, max_ops: int, in_all: int) -> int:
    """Returns what is left of `in_all`: comparisons and operations, nested ones included."""
    lists = (request.compare, request.success, request.failure)
    most = max(map(len, lists))
    in_all -= sum(map(len, lists))
    if most > max_ops or in_all < 0:
        raise errors.TooManyOps
    if not all(compare.key for compare in request.compare):
        raise errors.EmptyKey
    for operation in (*request.success, *request.failure):
        if isinstance(operation, PutRequest):
            check_put(operation)
        elif isinstance(operation, RangeRequest):
            check_range(operation)
        elif isinstance(operation, DeleteRangeRequest):
            check_delete_range(operation)
        else:
            in_all = _check_operations(operation, max_ops - most, in_all)
    return in_all


def _written(operations: Sequence[Operation]) -> tuple[set[bytes], KeyRanges]:
    """What a branch puts and deletes, nested transactions included.

    Raises DuplicateKey if a key would be put twice, or put and deleted. The two branches of a
    nested transaction exclude each other, so both may put a key, and one may put what the other
    deletes. As in etcd, what a nested transaction deletes is held against what follows it only;
    the store copes with a key changed twice. (A deletion without an upper bound etcd overlooks
    here; some transactions that we refuse therefore end an etcd server.)
    """
    puts: set[bytes] = set()
    deletions = KeyRanges(
        (each.key, each.range_end) for each in operations if isinstance(each, DeleteRangeRequest)
    )
    for each in operations:
        if isinstance(each, TxnRequest):
            then_puts, then_deletions = _written(each.success)
            else_puts, else_deletions = _written(each.failure)
            _add(puts, then_puts | else_puts, deletions)
            deletions.update(then_deletions)
            deletions.update(else_deletions)
    for each in operations:
        if isinstance(each, PutRequest):
            _add(puts, {each.key}, deletions)
    return puts, deletions


def _add(puts: set[bytes], more: set[bytes], deletions: KeyRanges) -> None:
    if not puts.isdisjoint(more) or any(map(deletions.covers, more)):
        raise errors.DuplicateKey
    puts |= more
