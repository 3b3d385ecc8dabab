"""The whole store as a stream of bytes, drawn while writes go on.

    snapshot = magic:8 version:u16 revision:u64 compact_revision:i64 section* end
    section  = tag:u8 count:u32 item*          many sections of each tag, in this order
      LEASES   item = id:i64 ttl:i64
      BASE     item = record                   keys as of before the compact revision, in key order
      HISTORY  item = record                   changes from the compact revision on, in their order
      UPGRADE  item = cluster_version:u32      one, and first; without it, the cluster is at 1
      ALARMS   item = member_id:u64 type:u8
      AUTH     item = size:u32 state           at most one; these three as in `auth_records`
      USERS    item = size:u32 user
      ROLES    item = size:u32 role
      RENEWALS item = lease_id:i64 count:i64   of those leases that were renewed, behind LEASES
    record   = create:i64 mod:i64 version:i64 lease:i64 key_size:u32 value_size:u32 key value
    end      = tag:u8 crc32:u32                of everything before; zeros may follow, as padding

The version is the oldest that knows all sections: 2 for the last five, else 1.

The split follows what can be read: before the compact revision only the state it left, after it
every change. So a restored member serves the same reads and watches as the one it came from.

Everything written is at a fixed revision: later changes have higher revisions and are passed over,
and nothing that was there is freed meanwhile (`Mvcc.pin`).
"""

import itertools
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from podling.controlplane.store.key_values import KeyValue
from podling.controlplane.store.machine.alarms import Alarms
from podling.controlplane.store.machine.auth import auth_records
from podling.controlplane.store.machine.auth.auth_store import AuthStore, Role, User
from podling.controlplane.store.machine.leases import Leases
from podling.controlplane.store.machine.mvcc import FIRST_REVISION, Mvcc
from podling.controlplane.store.requests import Alarm, AlarmType

MAGIC = b"podlingS"
VERSION = 2
"""The newest that this program understands."""

LEASES, BASE, HISTORY, END, UPGRADE, ALARMS, AUTH, USERS, ROLES, RENEWALS = range(1, 11)

SLICE = 256
"""Items in one section; drawing one must not take longer than a few milliseconds."""

T = TypeVar("T")

_HEADER = struct.Struct(">8sHQq")
_SECTION = struct.Struct(">BI")
_LEASE = struct.Struct(">qq")
_RECORD = struct.Struct(">qqqqII")
_UPGRADE = struct.Struct(">I")
_ALARM = struct.Struct(">QB")
_SIZE = struct.Struct(">I")

_SINCE_2 = frozenset((ALARMS, AUTH, USERS, ROLES, RENEWALS))


class SnapshotError(ValueError):
    """The bytes are no whole snapshot of a version this program knows; says why."""


class Contents(NamedTuple):
    """What a snapshot restores."""

    store: Mvcc
    leases: Sequence[tuple[int, int]]
    """(id, time-to-live in seconds)"""
    renewals: Mapping[int, int]
    """How often, of those leases that were renewed."""
    attached: Sequence[tuple[int, bytes]]
    """(lease, key) of each key that has a lease."""
    cluster_version: int
    """The newest version of commands that may be proposed."""
    auth: AuthStore
    alarms: Alarms


def write(
    store: Mvcc,
    leases: Leases,
    cluster_version: int = 1,
    auth: AuthStore | None = None,
    alarms: Alarms | None = None,
) -> Iterator[bytes]:
    """The state as of this call, in chunks, each a header or a section."""
    small = list(_small_sections(leases, cluster_version, auth or AuthStore(), alarms or Alarms()))
    chunks = _write(store, small)
    # Drawing the first chunk pins the store now, and makes sure that it is unpinned even if the
    # rest is never drawn.
    return itertools.chain([next(chunks)], chunks)


def _small_sections(
    leases: Leases, cluster_version: int, auth: AuthStore, alarms: Alarms
) -> Iterator[bytes]:
    """Everything but the keys."""
    yield from _sections(UPGRADE, [_UPGRADE.pack(cluster_version)])
    yield from _sections(ALARMS, [_ALARM.pack(*each) for each in alarms.listed()])
    if not auth.pristine:
        yield from _sections(AUTH, [_sized(auth_records.encode_state(auth))])
        users = (_sized(auth_records.encode_user(each)) for each in auth.users.values())
        yield from _sections(USERS, users)
        roles = (_sized(auth_records.encode_role(each)) for each in auth.roles.values())
        yield from _sections(ROLES, roles)
    yield from _sections(LEASES, [_LEASE.pack(lease.id, lease.ttl) for lease in leases])
    if cluster_version > 1:
        renewed = [_LEASE.pack(each.id, each.renewals) for each in leases if each.renewals]
        yield from _sections(RENEWALS, renewed)


def _write(store: Mvcc, small: Sequence[bytes]) -> Iterator[bytes]:
    revision, compact_revision = store.revision, store.compact_revision
    version = 2 if any(section[0] in _SINCE_2 for section in small) else 1
    store.pin()
    try:
        header = _HEADER.pack(MAGIC, version, revision, compact_revision)
        sections = itertools.chain(
            small,
            _sections(BASE, _base(store, compact_revision)),
            _sections(HISTORY, _history(store, revision, compact_revision)),
        )
        checksum = 0
        for chunk in itertools.chain([header], sections):
            checksum = zlib.crc32(chunk, checksum)
            yield chunk
        yield _SECTION.pack(END, checksum)
    finally:
        store.unpin()


def _sections(tag: int, items: Iterable[bytes]) -> Iterator[bytes]:
    items = iter(items)
    while several := list(itertools.islice(items, SLICE)):
        yield _SECTION.pack(tag, len(several)) + b"".join(several)


def _base(store: Mvcc, compact_revision: int) -> Iterator[bytes]:
    if compact_revision <= FIRST_REVISION:
        return
    after: bytes | None = None
    while keys := store.next_keys(after, SLICE):
        for key in keys:
            kv = store.record_at(key, compact_revision)
            if kv is not None and kv.version and kv.mod_revision < compact_revision:
                yield encode_record(kv)
        after = keys[-1]


def _history(store: Mvcc, revision: int, compact_revision: int) -> Iterator[bytes]:
    for at in range(max(compact_revision, FIRST_REVISION), revision + 1):
        for event in store.events(at):
            yield encode_record(event.kv)


def encode_record(kv: KeyValue) -> bytes:
    key, value, create_revision, mod_revision, version, lease = kv
    head = _RECORD.pack(create_revision, mod_revision, version, lease, len(key), len(value))
    return head + key + value


def read(chunks: Iterable[bytes]) -> Contents:
    """Build a store from the chunks of `write`, however they are cut. Raises SnapshotError."""
    source = _Source(chunks)
    magic, version, revision, compact_revision = _HEADER.unpack(source.take(_HEADER.size))
    if magic != MAGIC:
        raise SnapshotError("not a snapshot of a store")
    if not 1 <= version <= VERSION:
        raise SnapshotError(
            f"snapshot of version {version}, but this program knows version {VERSION}: "
            "upgrade this member"
        )
    store = Mvcc()
    leases: list[tuple[int, int]] = []
    renewals: dict[int, int] = {}
    base: list[KeyValue] = []
    history: list[KeyValue] = []
    versions = [1]
    alarms: list[Alarm] = []
    auth = _AuthRead()
    readers: dict[int, Callable[[], None]] = {
        UPGRADE: lambda: versions.extend(_UPGRADE.unpack(source.take(_UPGRADE.size))),
        LEASES: lambda: leases.append(_LEASE.unpack(source.take(_LEASE.size))),
        RENEWALS: lambda: renewals.update([_LEASE.unpack(source.take(_LEASE.size))]),
        ALARMS: lambda: alarms.append(_read_alarm(source)),
        AUTH: lambda: auth.states.append(auth_records.decode_state(_take_sized(source))),
        USERS: lambda: auth.users.append(auth_records.decode_user(_take_sized(source))),
        ROLES: lambda: auth.roles.append(auth_records.decode_role(_take_sized(source))),
        BASE: lambda: base.append(_read_record(source)),
        HISTORY: lambda: history.append(_read_record(source)),
    }
    _read_sections(source, readers)
    store.load_base(base)
    for at, changes in itertools.groupby(history, key=lambda kv: kv.mod_revision):
        store.load_revision(at, changes)
    if history and history[-1].mod_revision > revision:
        raise SnapshotError(f"snapshot of revision {revision} has changes beyond it")
    store.finish_load(revision, compact_revision)
    # Here and not when it is taken: reading is done beside the event loop.
    attached = [(kv.lease, kv.key) for kv in store.live_records() if kv.lease]
    return Contents(store, leases, renewals, attached, versions[-1], auth.store(), Alarms(alarms))


def _read_sections(source: "_Source", readers: dict[int, Callable[[], None]]) -> None:
    while True:
        checksum = source.checksum
        tag, count = _SECTION.unpack(source.take(_SECTION.size))
        if tag == END:
            if count != checksum:
                raise SnapshotError("snapshot is damaged: its checksum does not match")
            if not source.at_end():
                raise SnapshotError("snapshot is damaged: there are bytes behind its end")
            return
        reader = readers.get(tag)
        if reader is None:
            raise SnapshotError(f"snapshot is damaged: unknown section {tag}")
        try:
            for _ in range(count):
                reader()
        except SnapshotError:
            raise
        except (struct.error, ValueError) as error:
            raise SnapshotError(f"snapshot is damaged: {error}") from error


class _AuthRead:
    """What the sections about users and roles have had so far."""

    def __init__(self) -> None:
        self.states: list[tuple[bool, int]] = []
        self.users: list[User] = []
        self.roles: list[Role] = []

    def store(self) -> AuthStore:
        store = AuthStore()
        if self.states:
            store.load(*self.states[-1], self.users, self.roles)
        return store


def _sized(data: bytes) -> bytes:
    return _SIZE.pack(len(data)) + data


def _take_sized(source: "_Source") -> bytes:
    (size,) = _SIZE.unpack(source.take(_SIZE.size))
    return source.take(size)


def _read_alarm(source: "_Source") -> Alarm:
    member_id, kind = _ALARM.unpack(source.take(_ALARM.size))
    return Alarm(member_id, AlarmType(kind))


def _read_record(source: "_Source") -> KeyValue:
    create, mod, version, lease, key_size, value_size = _RECORD.unpack(source.take(_RECORD.size))
    return KeyValue(source.take(key_size), source.take(value_size), create, mod, version, lease)


class _Source:
    """Takes pieces of any size from chunks of any size, and keeps the checksum of all taken."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._data = b""
        self._at = 0
        self._summed = 0
        """Bytes of `_data` that are in `_checksum`."""
        self._checksum = 0

    @property
    def checksum(self) -> int:
        """CRC-32 of everything taken so far."""
        self._checksum = zlib.crc32(self._data[self._summed : self._at], self._checksum)
        self._summed = self._at
        return self._checksum

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            self._refill(size)
            end = size
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def at_end(self) -> bool:
        """Whether nothing but padding is left."""
        return not any(self._data[self._at :]) and not any(map(any, self._chunks))

    def _refill(self, size: int) -> None:
        _ = self.checksum
        pieces, have = [self._data[self._at :]], len(self._data) - self._at
        while have < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise SnapshotError("snapshot is cut short")
            pieces.append(chunk)
            have += len(chunk)
        self._data, self._at, self._summed = b"".join(pieces), 0, 0
