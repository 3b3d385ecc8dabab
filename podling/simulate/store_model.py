"""What one client alone would see of an etcd store: the oracle that histories are judged by.

Written after etcd's API reference, apart from the store's own machine and as plainly as can be, so
that the two have no mistake in common: the state is the log of all records ever made, and
everything else is looked up in it. It knows no compaction and no errors: requests that were
refused are left out of histories.
"""

import bisect
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from podling.controlplane.store.key_values import KeyValue, tombstone
from podling.controlplane.store.requests import (
    NO_END,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    DeleteRangeResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    SortOrder,
    TxnRequest,
    TxnResponse,
)

FIRST_REVISION = 1
"""Of a store in which nothing was ever written."""

_ABSENT = KeyValue(b"", b"", 0, 0, 0, 0)


class _Refused(Exception):
    """In this state, the request is an error."""


class Records(Protocol):
    """All that was ever written."""

    @property
    def revision(self) -> int: ...

    def range(self, key: bytes, range_end: bytes, revision: int) -> list[KeyValue]:
        """The keys that lived at `revision`, in order."""
        ...


def within(key: bytes, first: bytes, range_end: bytes) -> bool:
    """Whether `key` is in etcd's [first, range_end)."""
    if not range_end:
        return key == first
    return key >= first and (range_end == NO_END or key < range_end)


class Evaluation:
    """One request carried out: its response, and the changes that make the next revision."""

    def __init__(self, records: Records, request: Any) -> None:
        self._records = records
        self._next = records.revision + 1
        self._changes: dict[bytes, KeyValue] = {}
        self.response: Any
        """None if the store would have refused."""
        try:
            self.response = self._execute(request)
        except _Refused:
            self._changes.clear()
            self.response = None

    @property
    def changes(self) -> Mapping[bytes, KeyValue]:
        return self._changes

    @property
    def revision(self) -> int:
        """That of the store afterwards."""
        return self._next if self._changes else self._records.revision

    def _execute(self, request: Any) -> Any:
        if isinstance(request, RangeRequest):
            return self._range(request)
        if isinstance(request, PutRequest):
            return self._put(request)
        if isinstance(request, DeleteRangeRequest):
            deleted = self._delete(self._living(request.key, request.range_end))
            kept = deleted if request.prev_kv else ()
            return DeleteRangeResponse(self.revision, len(deleted), kept)
        if isinstance(request, TxnRequest):
            return self._txn(request)
        if isinstance(request, LeaseRevokeRequest):
            self._delete([kv for kv in self._living(b"\0", NO_END) if kv.lease == request.id])
            return LeaseRevokeResponse(self.revision)
        raise TypeError(f"no request that the model knows: {request}")

    def _living(self, key: bytes, range_end: bytes, revision: int = 0) -> list[KeyValue]:
        if revision > self._records.revision:
            raise _Refused
        if revision:
            return self._records.range(key, range_end, revision)
        found = {kv.key: kv for kv in self._records.range(key, range_end, self._records.revision)}
        for changed, kv in self._changes.items():
            if within(changed, key, range_end):
                found[changed] = kv
        return [kv for _, kv in sorted(found.items()) if kv.version]

    def _range(self, request: RangeRequest) -> RangeResponse:
        found = self._living(request.key, request.range_end, request.revision)
        if request.count_only:
            return RangeResponse(self.revision, (), False, len(found))
        kvs = [
            kv
            for kv in found
            if request.min_mod_revision <= kv.mod_revision
            and kv.mod_revision <= (request.max_mod_revision or kv.mod_revision)
            and request.min_create_revision <= kv.create_revision
            and kv.create_revision <= (request.max_create_revision or kv.create_revision)
        ]
        if request.sort_order == SortOrder.NONE and not _is_filtered(request) and request.limit > 0:
            # etcd reads no more than it needs then, and sorts that.
            kvs = kvs[: request.limit + 1]
        target = ("key", "version", "create_revision", "mod_revision", "value")[request.sort_target]
        descending = request.sort_order == SortOrder.DESCEND
        kvs.sort(key=lambda kv: getattr(kv, target), reverse=descending)
        more = 0 < request.limit < len(kvs)
        kvs = kvs[: request.limit] if more else kvs
        if request.keys_only:
            kvs = [kv._replace(value=b"") for kv in kvs]
        return RangeResponse(self.revision, kvs, more, len(found))

    def _put(self, request: PutRequest) -> PutResponse:
        previous = next(iter(self._living(request.key, b"")), None)
        if previous is None and (request.ignore_value or request.ignore_lease):
            raise _Refused
        old = previous or _ABSENT
        self._changes[request.key] = KeyValue(
            request.key,
            old.value if request.ignore_value else request.value,
            old.create_revision or self._next,
            self._next,
            old.version + 1,
            old.lease if request.ignore_lease else request.lease,
        )
        return PutResponse(self.revision, previous if request.prev_kv else None)

    def _delete(self, doomed: Sequence[KeyValue]) -> Sequence[KeyValue]:
        for kv in doomed:
            self._changes[kv.key] = tombstone(kv.key, self._next)
        return doomed

    def _txn(self, request: TxnRequest) -> TxnResponse:
        """All comparisons, those of nested transactions too, are with the state before."""
        compared = all(self._holds(compare) for compare in request.compare)
        responses = [
            self._execute(operation)
            for operation in (request.success if compared else request.failure)
        ]
        return TxnResponse(self.revision, compared, responses)

    def _holds(self, compare: Compare) -> bool:
        found = self._records.range(compare.key, compare.range_end, self._records.revision)
        if not found:
            if compare.target == CompareTarget.VALUE:
                return False
            found = [_ABSENT]
        field = ("version", "create_revision", "mod_revision", "value", "lease")[compare.target]
        return all(_relation(compare.result)(getattr(kv, field), compare.operand) for kv in found)


def _is_filtered(request: RangeRequest) -> bool:
    return bool(
        request.min_mod_revision
        or request.max_mod_revision
        or request.min_create_revision
        or request.max_create_revision
    )


def _relation(result: CompareResult) -> Callable[[Any, Any], bool]:
    return {
        CompareResult.EQUAL: lambda a, b: bool(a == b),
        CompareResult.NOT_EQUAL: lambda a, b: bool(a != b),
        CompareResult.GREATER: lambda a, b: bool(a > b),
        CompareResult.LESS: lambda a, b: bool(a < b),
    }[result]


def comparable(response: Any) -> Any:
    """A response as it is compared: lists are tuples, and what is nested has no revision of its
    own (etcd fills it in at some places and not at others)."""
    if isinstance(response, TxnResponse):
        nested = tuple(comparable(each._replace(revision=0)) for each in response.responses)
        return response._replace(responses=nested)
    if isinstance(response, RangeResponse):
        return response._replace(kvs=tuple(response.kvs))
    if isinstance(response, DeleteRangeResponse):
        return response._replace(prev_kvs=tuple(response.prev_kvs))
    return response


class Log(NamedTuple):
    """`Records` as a value: slow, and good for a few dozen of them."""

    revision: int = FIRST_REVISION
    entries: tuple[KeyValue, ...] = ()

    def range(self, key: bytes, range_end: bytes, revision: int) -> list[KeyValue]:
        newest = {
            kv.key: kv
            for kv in self.entries
            if kv.mod_revision <= revision and within(kv.key, key, range_end)
        }
        return [kv for _, kv in sorted(newest.items()) if kv.version]


class StoreModel:
    """A `Model` of the whole store for the search of `linearizability`.

    Serializable reads are to be left out: they need not be linearizable.
    """

    def __init__(self, first: Log = Log()) -> None:  # noqa: B008 - a value
        self._first = first

    def initial(self) -> Hashable:
        return self._first

    def partition(self, request: Any) -> Hashable:
        """One revision counts for all keys."""
        return None

    def apply(self, state: Log, request: Any) -> tuple[Log, Any]:
        done = Evaluation(state, request)
        return Log(done.revision, state.entries + tuple(done.changes.values())), done.response

    def agrees(self, expected: Any, observed: Any) -> bool:
        return bool(comparable(expected) == comparable(observed))


class Timeline:
    """`Records` that grow: by key, and can be taken back."""

    def __init__(self, records: Iterable[KeyValue] = (), revision: int = FIRST_REVISION) -> None:
        """Begins with `records`, the keys that live at `revision`."""
        self.revision = revision
        self._keys = list[bytes]()
        self._of_key: dict[bytes, list[KeyValue]] = {}
        self._at: dict[int, Sequence[bytes]] = {}
        for kv in records:
            self._append(kv)

    def range(self, key: bytes, range_end: bytes, revision: int) -> list[KeyValue]:
        if not range_end:
            found = [self._find(key, revision)] if key in self._of_key else []
        else:
            low = bisect.bisect_left(self._keys, key)
            high = len(self._keys)
            if range_end != NO_END:
                high = bisect.bisect_left(self._keys, range_end)
            found = [self._find(each, revision) for each in self._keys[low:high]]
        return [kv for kv in found if kv.version]

    def extend(self, changes: Mapping[bytes, KeyValue]) -> None:
        """The next revision."""
        self.revision += 1
        self._at[self.revision] = tuple(changes)
        for kv in changes.values():
            self._append(kv)

    def take_back(self, revision: int) -> None:
        """Forget everything after `revision`."""
        while self.revision > revision:
            for key in self._at.pop(self.revision):
                self._of_key[key].pop()
            self.revision -= 1

    def changed_at(self, revision: int) -> dict[bytes, KeyValue]:
        """What `revision` changed."""
        return {key: self._find(key, revision) for key in self._at.get(revision, ())}

    def _append(self, kv: KeyValue) -> None:
        if kv.key not in self._of_key:
            bisect.insort(self._keys, kv.key)
            self._of_key[kv.key] = []
        self._of_key[kv.key].append(kv)

    def _find(self, key: bytes, revision: int) -> KeyValue:
        records = self._of_key[key]
        position = bisect.bisect_right(records, revision, key=lambda kv: kv.mod_revision)
        return records[position - 1] if position else _ABSENT
