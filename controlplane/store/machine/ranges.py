"""The Range request: filters, order and limit on top of a read (etcd: server/etcdserver/txn).

The order in which they apply is etcd's: read, filter by revision, sort, cut to the limit, and then
strip the values. `total` is that of the read, untouched by filters and limit.
"""

from collections.abc import Callable, Sequence

from podling.controlplane.store.key_values import KeyValue
from podling.controlplane.store.machine.mvcc import Mvcc
from podling.controlplane.store.requests import (
    RangeRequest,
    RangeResponse,
    SortOrder,
    SortTarget,
)

_SORT_KEYS: dict[SortTarget, Callable[[KeyValue], int | bytes]] = {
    SortTarget.KEY: lambda kv: kv.key,
    SortTarget.VERSION: lambda kv: kv.version,
    SortTarget.CREATE: lambda kv: kv.create_revision,
    SortTarget.MOD: lambda kv: kv.mod_revision,
    SortTarget.VALUE: lambda kv: kv.value,
}


def execute(store: Mvcc, request: RangeRequest) -> RangeResponse:
    """Carry out a range. Raises Compacted and FutureRevision."""
    if request.count_only:
        count = store.count(request.key, request.range_end, request.revision)
        return RangeResponse(store.read_revision, (), False, count)
    # Filters and sorting need every key. One more than the limit tells whether there are more.
    everything = request.sort_order != SortOrder.NONE or _has_filters(request)
    found = store.range(
        request.key,
        request.range_end,
        limit=0 if everything or request.limit <= 0 else request.limit + 1,
        revision=request.revision,
    )
    kvs = _sorted(_filtered(found.kvs, request), request)
    more = 0 < request.limit < len(kvs)
    if more:
        kvs = kvs[: request.limit]
    if request.keys_only:
        kvs = [kv._replace(value=b"") for kv in kvs]
    return RangeResponse(found.revision, kvs, more, found.total)


def is_plain(request: RangeRequest) -> bool:
    """Whether the range is in order of keys and unfiltered, so that it can be read in parts."""
    return (
        request.sort_order == SortOrder.NONE
        and request.sort_target == SortTarget.KEY
        and not request.count_only
        and not _has_filters(request)
    )


def _has_filters(request: RangeRequest) -> bool:
    return bool(
        request.min_mod_revision
        or request.max_mod_revision
        or request.min_create_revision
        or request.max_create_revision
    )


def _filtered(kvs: Sequence[KeyValue], request: RangeRequest) -> Sequence[KeyValue]:
    if not _has_filters(request):
        return kvs
    return [
        kv
        for kv in kvs
        if request.min_mod_revision <= kv.mod_revision
        and (not request.max_mod_revision or kv.mod_revision <= request.max_mod_revision)
        and request.min_create_revision <= kv.create_revision
        and (not request.max_create_revision or kv.create_revision <= request.max_create_revision)
    ]


def _sorted(kvs: Sequence[KeyValue], request: RangeRequest) -> Sequence[KeyValue]:
    """By key they are already; another target without an order means ascending."""
    descending = request.sort_order == SortOrder.DESCEND
    if request.sort_target == SortTarget.KEY and not descending:
        return kvs
    return sorted(kvs, key=_SORT_KEYS[request.sort_target], reverse=descending)
