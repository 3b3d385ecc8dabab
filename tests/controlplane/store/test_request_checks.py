"""Transactions that would change a key twice, or do too much, however they are nested."""

import time
from collections.abc import Callable

import pytest

from podling.controlplane.store import errors
from podling.controlplane.store.request_checks import check_txn
from podling.controlplane.store.requests import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    Operation,
    PutRequest,
    RangeRequest,
    TxnRequest,
)

MAX_OPS = 128


def nested(
    make: Callable[[bytes], Operation], prefix: bytes, breadth: int, depth: int
) -> TxnRequest:
    """`breadth ** depth` operations on keys of their own that begin with `prefix`."""
    operations: list[Operation] = []
    for number in range(breadth):
        key = prefix + b"%02d" % number
        operations.append(nested(make, key, breadth, depth - 1) if depth > 1 else make(key))
    return TxnRequest((), operations, ())


def test_the_time_it_takes_grows_no_faster_than_the_transaction() -> None:
    """One of half a megabyte, for which the limit was raised, must not stop the event loop."""
    deletions = nested(DeleteRangeRequest, b"d", 25, 3)
    puts = nested(lambda key: PutRequest(key, b""), b"p", 25, 3)

    began = time.process_time()
    check_txn(TxnRequest((), (deletions, puts), ()), 20 * MAX_OPS)

    assert time.process_time() - began < 5


def test_a_put_of_what_was_deleted_is_found_however_deep_both_are() -> None:
    deletions = nested(DeleteRangeRequest, b"k", 10, 3)
    puts = nested(lambda key: PutRequest(key, b""), b"k09", 10, 2)

    with pytest.raises(errors.DuplicateKey):
        check_txn(TxnRequest((), (deletions, puts), ()), MAX_OPS)
    # What is deleted later is no matter, as in etcd.
    check_txn(TxnRequest((), (puts, deletions), ()), MAX_OPS)


def test_what_a_transaction_comes_to_is_bounded_however_it_is_nested() -> None:
    compare = Compare(b"c", CompareTarget.VERSION, CompareResult.EQUAL, 0)
    # 128 of the sixteen full lists, with itself.
    part = TxnRequest([compare] * 10, [RangeRequest(b"a")] * 50, [RangeRequest(b"b")] * 67)

    check_txn(TxnRequest((), (part,) * 16, ()), MAX_OPS)

    for more in (
        TxnRequest((compare,), (part,) * 16, ()),
        TxnRequest((), (*(part,) * 16, RangeRequest(b"a")), ()),
        TxnRequest((), (part,) * 16, (RangeRequest(b"a"),)),
        TxnRequest((), (part,) * 15, (part._replace(success=[*part.success, part]),)),
    ):
        with pytest.raises(errors.TooManyOps):
            check_txn(more, MAX_OPS)
