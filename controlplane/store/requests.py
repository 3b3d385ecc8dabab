"""Requests and responses in etcd's terms, decoded (etcd: api/etcdserverpb/rpc.proto).

The fields mean what etcd's API reference says. A range of keys is [key, range_end); an empty
`range_end` means the one key, and `range_end` b"\\0" every key from `key` on.

A response carries the store's revision. The rest of etcd's response header (cluster, member,
term) is the same for every response of a member, and added by the face that needs it.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from podling.controlplane.store.key_values import Event, KeyValue

#: As `range_end`: no upper bound.
NO_END = b"\0"


class SortOrder(IntEnum):
    NONE = 0
    ASCEND = 1
    DESCEND = 2


class SortTarget(IntEnum):
    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


class CompareResult(IntEnum):
    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


class CompareTarget(IntEnum):
    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class WatchFilter(IntEnum):
    NOPUT = 0
    NODELETE = 1


class AlarmType(IntEnum):
    NONE = 0
    """In a question: all."""
    NOSPACE = 1
    CORRUPT = 2


class AlarmAction(IntEnum):
    GET = 0
    ACTIVATE = 1
    DEACTIVATE = 2


class RangeRequest(NamedTuple):
    key: bytes
    range_end: bytes = b""
    limit: int = 0
    revision: int = 0
    sort_order: SortOrder = SortOrder.NONE
    sort_target: SortTarget = SortTarget.KEY
    serializable: bool = False
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: int = 0
    max_mod_revision: int = 0
    min_create_revision: int = 0
    max_create_revision: int = 0


class RangeResponse(NamedTuple):
    revision: int
    kvs: Sequence[KeyValue]
    more: bool
    """The limit kept keys back."""
    total: int
    """Keys in the range, whatever limit and filters; called `count` on the wire."""


class PutRequest(NamedTuple):
    key: bytes
    value: bytes = b""
    lease: int = 0
    prev_kv: bool = False
    ignore_value: bool = False
    ignore_lease: bool = False


class PutResponse(NamedTuple):
    revision: int
    prev_kv: KeyValue | None


class DeleteRangeRequest(NamedTuple):
    key: bytes
    range_end: bytes = b""
    prev_kv: bool = False


class DeleteRangeResponse(NamedTuple):
    revision: int
    deleted: int
    prev_kvs: Sequence[KeyValue]


class Compare(NamedTuple):
    """Holds if it holds for every key of the range; a missing key has zeros in every field."""

    key: bytes
    target: CompareTarget
    result: CompareResult
    operand: int | bytes
    """Bytes for the target VALUE, a number for the others."""
    range_end: bytes = b""


class TxnRequest(NamedTuple):
    compare: Sequence[Compare] = ()
    success: "Sequence[Operation]" = ()
    failure: "Sequence[Operation]" = ()


class TxnResponse(NamedTuple):
    revision: int
    succeeded: bool
    responses: "Sequence[OperationResponse]"


#: What a transaction may consist of.
Operation = RangeRequest | PutRequest | DeleteRangeRequest | TxnRequest
OperationResponse = RangeResponse | PutResponse | DeleteRangeResponse | TxnResponse


class CompactionRequest(NamedTuple):
    revision: int
    physical: bool = False
    """Answer only when the history has really been freed."""


class CompactionResponse(NamedTuple):
    revision: int


class LeaseGrantRequest(NamedTuple):
    ttl: int
    """Seconds."""
    id: int = 0
    """0: the store chooses."""


class LeaseGrantResponse(NamedTuple):
    revision: int
    id: int
    ttl: int
    """At least what was asked for."""


class LeaseRevokeRequest(NamedTuple):
    id: int


class LeaseRevokeResponse(NamedTuple):
    revision: int


class LeaseKeepAliveRequest(NamedTuple):
    id: int


class LeaseKeepAliveResponse(NamedTuple):
    revision: int
    id: int
    ttl: int
    """Seconds until expiry from now; 0 if there is no such lease."""


class LeaseTimeToLiveResponse(NamedTuple):
    revision: int
    id: int
    ttl: int
    """Seconds left; -1 if there is no such lease."""
    granted_ttl: int
    keys: Sequence[bytes]


class LeaseLeasesResponse(NamedTuple):
    revision: int
    ids: Sequence[int]


class WatchCreateRequest(NamedTuple):
    key: bytes
    range_end: bytes = b""
    start_revision: int = 0
    """The first revision of interest; 0: what happens from now on."""
    progress_notify: bool = False
    filters: frozenset[WatchFilter] = frozenset()
    prev_kv: bool = False
    watch_id: int = 0
    """0: the store chooses."""
    fragment: bool = False


class WatchResponse(NamedTuple):
    revision: int
    watch_id: int
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    cancel_reason: str = ""
    events: Sequence[Event] = ()
    fragment: bool = False
    """More of the same revision follows."""


class HashKVResponse(NamedTuple):
    revision: int
    hash: int
    compact_revision: int
    hash_revision: int


class LeaseExpireRequest(NamedTuple):
    """Not etcd's: revoke a lease whose time is up, unless it was renewed once more meanwhile."""

    id: int
    renewals: int
    """How often it had been renewed when its time was up."""


class LeaseExpireResponse(NamedTuple):
    revision: int
    expired: bool
    """Whether it is gone."""


class HashCheckRequest(NamedTuple):
    """Not etcd's: every member compares its keys with this checksum of the leader's."""

    member_id: int
    """Whose checksum it is."""
    hash: int
    compact_revision: int
    hash_revision: int


class HashCheckResponse(NamedTuple):
    revision: int


class Alarm(NamedTuple):
    """Something is wrong with a member."""

    member_id: int
    type: AlarmType


class AlarmRequest(NamedTuple):
    """ACTIVATE or DEACTIVATE."""

    action: AlarmAction
    member_id: int
    type: AlarmType


class AlarmResponse(NamedTuple):
    revision: int
    alarms: Sequence[Alarm]
    """Those asked for, or the one raised or taken back."""


class ClusterVersionRequest(NamedTuple):
    """Not etcd's: every member understands commands of this version from now on."""

    version: int


class ClusterVersionResponse(NamedTuple):
    revision: int
    version: int
    """Of the cluster now; it never goes back."""


def is_read_only(txn: TxnRequest) -> bool:
    """Whether no branch of `txn` can write."""
    return all(
        isinstance(operation, RangeRequest)
        or (isinstance(operation, TxnRequest) and is_read_only(operation))
        for branch in (txn.success, txn.failure)
        for operation in branch
    )


def has_puts(txn: TxnRequest) -> bool:
    """Whether a branch of `txn` can put."""
    return any(
        isinstance(operation, PutRequest)
        or (isinstance(operation, TxnRequest) and has_puts(operation))
        for branch in (txn.success, txn.failure)
        for operation in branch
    )


def is_serializable(txn: TxnRequest) -> bool:
    """Whether the read-only `txn` is content with what this member happens to know.

    Every range in it must say so. One that only compares has no place to say so, and is not.
    """
    ranges = list(_ranges(txn))
    return bool(ranges) and all(request.serializable for request in ranges)


def _ranges(txn: TxnRequest) -> Iterator[RangeRequest]:
    for branch in (txn.success, txn.failure):
        for operation in branch:
            if isinstance(operation, RangeRequest):
                yield operation
            elif isinstance(operation, TxnRequest):
                yield from _ranges(operation)
