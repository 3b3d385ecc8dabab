"""The commands that replicas agree on, as bytes.

    command   = version:u8 operation
    operation = kind:u8 body            within TXN only PUT, DELETE, TXN and RANGE
    bytes     = length:u32 data
    PUT       = flags:u8 lease:i64 key_length:u32 value_length:u32 key value
    DELETE    = flags:u8 key:bytes range_end:bytes
    TXN       = compares:u32 compare* success:u32 operation* failure:u32 operation*
    COMPACT   = revision:i64
    GRANT     = id:i64 ttl:i64
    REVOKE    = id:i64
    RENEW     = id:i64
    UPGRADE   = cluster_version:i64
    later     = as `later_commands` describes      since version 2

    compare   = target:u8 result:u8 key:bytes range_end:bytes operand
    operand   = bytes if the target is VALUE, else i64
    RANGE     = flags:u8 order:u8 target:u8 limit:i64 revision:i64 min_mod:i64 max_mod:i64
                min_create:i64 max_create:i64 key:bytes range_end:bytes

Numbers are big-endian. The version is the oldest that understands the command: a replica that meets
one newer than itself cannot go on, because it would apply something else than its peers. So a new
kind or field is proposed only when every member understands it, which UPGRADE says:

    replicas 1, 2, 3 know version    1 1 1    2 1 1    2 2 2                            2 2 2
    version of the cluster           1        1        1, the leader proposes UPGRADE   2
    commands proposed                1        1        1                                1 and 2

Version 2 brought authentication and alarms.

To add one: raise VERSION, and let `since` tell which commands need it.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from podling.controlplane.store.machine import later_commands
from podling.controlplane.store.machine.later_commands import OnBehalf
from podling.controlplane.store.requests import (
    ClusterVersionRequest,
    CompactionRequest,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseRevokeRequest,
    Operation,
    PutRequest,
    RangeRequest,
    SortOrder,
    SortTarget,
    TxnRequest,
)

VERSION = 2
"""The newest that this program understands; it goes on understanding all before."""
FIRST_VERSION = 1

#: What can be replicated.
Command = (
    PutRequest
    | DeleteRangeRequest
    | TxnRequest
    | CompactionRequest
    | LeaseGrantRequest
    | LeaseRevokeRequest
    | LeaseKeepAliveRequest
    | ClusterVersionRequest
    | later_commands.Simple
    | OnBehalf
)

PUT, DELETE, TXN, RANGE, COMPACT, GRANT, REVOKE, RENEW, UPGRADE = range(1, 10)
ON_BEHALF = 10

_PUT = struct.Struct(">BBqII")
_DELETE = struct.Struct(">BB")
_RANGE = struct.Struct(">BBBBqqqqqq")
_COMPARE = struct.Struct(">BB")
_LENGTH = struct.Struct(">I")
_KIND_AND_NUMBER = struct.Struct(">Bq")
_NUMBER = struct.Struct(">q")
_GRANT = struct.Struct(">Bqq")
_TXN_KIND = bytes([TXN])
_SINCE_2 = frozenset((OnBehalf, *later_commands.KINDS))

# By number; indexing is several times as fast as calling the enumeration.
_TARGETS, _RESULTS = tuple(CompareTarget), tuple(CompareResult)
_SORT_ORDERS, _SORT_TARGETS = tuple(SortOrder), tuple(SortTarget)


class CommandError(ValueError):
    """Bytes that are no command this version understands; says why."""


def since(command: Command) -> int:
    """The version that a member must know to apply `command`."""
    return 2 if type(command) in _SINCE_2 else FIRST_VERSION


def version_of(data: bytes) -> int:
    """The same for a command that is encoded."""
    return data[0]


def encode(command: Command) -> bytes:
    """Raises struct.error if a number does not fit into 64 bits."""
    parts = [bytes([since(command)])]
    _write(parts, command)
    return b"".join(parts)


def decode(data: bytes, newest: int = VERSION) -> Command:
    """Raises CommandError if `data` is damaged or of a version above `newest`."""
    if not data or not FIRST_VERSION <= data[0] <= newest:
        raise CommandError(
            f"replicated command of version {data[0] if data else 'none'}, but this program knows "
            f"version {newest}: upgrade this member"
        )
    command: Command | RangeRequest
    try:
        command, end = _read(data, 1)
    except (struct.error, ValueError, IndexError, RecursionError) as error:
        raise CommandError(f"damaged replicated command: {error}") from error
    if end != len(data) or isinstance(command, RangeRequest):
        raise CommandError(f"damaged replicated command: {len(data)} bytes, read {end}")
    return command


def _write(parts: list[bytes], request: Command | Operation) -> None:
    if isinstance(request, PutRequest):
        key, value, lease, *_ = request
        flags = request.prev_kv | request.ignore_value << 1 | request.ignore_lease << 2
        parts += (_PUT.pack(PUT, flags, lease, len(key), len(value)), key, value)
    elif isinstance(request, TxnRequest):
        _write_txn(parts, request)
    elif isinstance(request, DeleteRangeRequest):
        parts.append(_DELETE.pack(DELETE, request.prev_kv))
        _write_bytes(parts, request.key, request.range_end)
    elif isinstance(request, RangeRequest):
        _write_range(parts, request)
    elif isinstance(request, OnBehalf):
        parts += (bytes([ON_BEHALF]), later_commands.encode_identity(request.who))
        _write(parts, request.command)
    elif isinstance(request, LeaseGrantRequest):
        parts.append(_GRANT.pack(GRANT, request.id, request.ttl))
    elif isinstance(request, later_commands.Simple):
        parts.append(later_commands.encode(request))
    else:
        _write_number(parts, request)


def _write_number(
    parts: list[bytes],
    request: CompactionRequest | LeaseRevokeRequest | LeaseKeepAliveRequest | ClusterVersionRequest,
) -> None:
    if isinstance(request, CompactionRequest):
        parts.append(_KIND_AND_NUMBER.pack(COMPACT, request.revision))
    elif isinstance(request, ClusterVersionRequest):
        parts.append(_KIND_AND_NUMBER.pack(UPGRADE, request.version))
    else:
        kind = REVOKE if isinstance(request, LeaseRevokeRequest) else RENEW
        parts.append(_KIND_AND_NUMBER.pack(kind, request.id))


def _write_txn(parts: list[bytes], request: TxnRequest) -> None:
    parts += (_TXN_KIND, _LENGTH.pack(len(request.compare)))
    for compare in request.compare:
        parts.append(_COMPARE.pack(compare.target, compare.result))
        _write_bytes(parts, compare.key, compare.range_end)
        if isinstance(compare.operand, bytes):
            _write_bytes(parts, compare.operand)
        else:
            parts.append(_NUMBER.pack(compare.operand))
    for branch in (request.success, request.failure):
        parts.append(_LENGTH.pack(len(branch)))
        for operation in branch:
            _write(parts, operation)


def _write_range(parts: list[bytes], request: RangeRequest) -> None:
    flags = request.serializable | request.keys_only << 1 | request.count_only << 2
    parts.append(
        _RANGE.pack(
            RANGE,
            flags,
            request.sort_order,
            request.sort_target,
            request.limit,
            request.revision,
            request.min_mod_revision,
            request.max_mod_revision,
            request.min_create_revision,
            request.max_create_revision,
        )
    )
    _write_bytes(parts, request.key, request.range_end)


def _write_bytes(parts: list[bytes], *data: bytes) -> None:
    for each in data:
        parts += (_LENGTH.pack(len(each)), each)


# Readers take the offset of what they read, and return it with the offset behind it.


def _read(data: bytes, at: int) -> tuple[Any, int]:
    read = _READERS.get(data[at])
    if read is None:
        raise CommandError(f"unknown kind {data[at]}")
    return read(data, at)


def _read_put(data: bytes, at: int) -> tuple[PutRequest, int]:
    _, flags, lease, key_size, value_size = _PUT.unpack_from(data, at)
    start = at + _PUT.size
    middle = start + key_size
    end = middle + value_size
    if end > len(data):
        raise CommandError("cut short")
    key, value = data[start:middle], data[middle:end]
    if not flags:
        return PutRequest(key, value, lease), end
    return PutRequest(key, value, lease, bool(flags & 1), bool(flags & 2), bool(flags & 4)), end


def _read_delete(data: bytes, at: int) -> tuple[DeleteRangeRequest, int]:
    _, flags = _DELETE.unpack_from(data, at)
    key, at = _read_bytes(data, at + _DELETE.size)
    range_end, at = _read_bytes(data, at)
    return DeleteRangeRequest(key, range_end, bool(flags)), at


def _read_range(data: bytes, at: int) -> tuple[RangeRequest, int]:
    _, flags, order, target, limit, revision, *bounds = _RANGE.unpack_from(data, at)
    key, at = _read_bytes(data, at + _RANGE.size)
    range_end, at = _read_bytes(data, at)
    options = (bool(flags & 1), bool(flags & 2), bool(flags & 4))
    sort = (_SORT_ORDERS[order], _SORT_TARGETS[target])
    return RangeRequest(key, range_end, limit, revision, *sort, *options, *bounds), at


def _read_txn(data: bytes, at: int) -> tuple[TxnRequest, int]:
    compare, at = _read_many(data, at + 1, _read_compare)
    success, at = _read_many(data, at, _read_operation)
    failure, at = _read_many(data, at, _read_operation)
    return TxnRequest(compare, success, failure), at


def _read_many(
    data: bytes, at: int, read: Callable[[bytes, int], tuple[Any, int]]
) -> tuple[Sequence[Any], int]:
    (count,) = _LENGTH.unpack_from(data, at)
    at += _LENGTH.size
    items = []
    for _ in range(count):
        item, at = read(data, at)
        items.append(item)
    return items, at


def _read_operation(data: bytes, at: int) -> tuple[Any, int]:
    if data[at] not in (PUT, DELETE, TXN, RANGE):
        raise CommandError(f"kind {data[at]} within a transaction")
    return _READERS[data[at]](data, at)


def _read_compare(data: bytes, at: int) -> tuple[Compare, int]:
    number, result = _COMPARE.unpack_from(data, at)
    key, at = _read_bytes(data, at + _COMPARE.size)
    range_end, at = _read_bytes(data, at)
    target = _TARGETS[number]
    operand: int | bytes
    if target == CompareTarget.VALUE:
        operand, at = _read_bytes(data, at)
    else:
        (operand,) = _NUMBER.unpack_from(data, at)
        at += _NUMBER.size
    return Compare(key, target, _RESULTS[result], operand, range_end), at


def _read_compact(data: bytes, at: int) -> tuple[CompactionRequest, int]:
    _, revision = _KIND_AND_NUMBER.unpack_from(data, at)
    return CompactionRequest(revision), at + _KIND_AND_NUMBER.size


def _read_grant(data: bytes, at: int) -> tuple[LeaseGrantRequest, int]:
    _, lease, ttl = _GRANT.unpack_from(data, at)
    return LeaseGrantRequest(ttl, lease), at + _GRANT.size


def _read_revoke(data: bytes, at: int) -> tuple[LeaseRevokeRequest, int]:
    _, lease = _KIND_AND_NUMBER.unpack_from(data, at)
    return LeaseRevokeRequest(lease), at + _KIND_AND_NUMBER.size


def _read_renew(data: bytes, at: int) -> tuple[LeaseKeepAliveRequest, int]:
    _, lease = _KIND_AND_NUMBER.unpack_from(data, at)
    return LeaseKeepAliveRequest(lease), at + _KIND_AND_NUMBER.size


def _read_upgrade(data: bytes, at: int) -> tuple[ClusterVersionRequest, int]:
    _, version = _KIND_AND_NUMBER.unpack_from(data, at)
    return ClusterVersionRequest(version), at + _KIND_AND_NUMBER.size


def _read_on_behalf(data: bytes, at: int) -> tuple[OnBehalf, int]:
    who, at = later_commands.decode_identity(data, at + 1)
    if data[at] == ON_BEHALF:
        raise CommandError("on behalf of two users")
    command, at = _read(data, at)
    if isinstance(command, RangeRequest):
        raise CommandError("a range is no command")
    return OnBehalf(who, command), at


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    (size,) = _LENGTH.unpack_from(data, at)
    start = at + _LENGTH.size
    if start + size > len(data):
        raise CommandError("cut short")
    return data[start : start + size], start + size


_READERS: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {
    PUT: _read_put,
    DELETE: _read_delete,
    TXN: _read_txn,
    RANGE: _read_range,
    COMPACT: _read_compact,
    GRANT: _read_grant,
    REVOKE: _read_revoke,
    RENEW: _read_renew,
    UPGRADE: _read_upgrade,
    ON_BEHALF: _read_on_behalf,
    **dict.fromkeys(later_commands.KINDS.values(), later_commands.decode),
}
