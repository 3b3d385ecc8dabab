"""The values that the store keeps and hands out (etcd: mvccpb.KeyValue, mvccpb.Event).

They are immutable and shared: history, the newest state, watchers and responses all point to the
same record. The fields and their order are those of the API server's storage interface too, so
that an adapter hands the records on as they are.
"""

from typing import NamedTuple


class KeyValue(NamedTuple):
    """One key as one transaction left it."""

    key: bytes
    value: bytes
    create_revision: int
    """Revision of the put that began this life of the key; 0 in a tombstone."""
    mod_revision: int
    """Revision of the transaction that made this record."""
    version: int
    """Counts puts in this life of the key, from 1; 0 in a tombstone."""
    lease: int
    """The lease that the key dies with; 0 for none."""


class Event(NamedTuple):
    """One change of one key."""

    kv: KeyValue
    """After a put the new record, after a delete the tombstone."""
    previous: KeyValue | None
    """The record before; None if the key did not exist."""
    deleted: bool


def tombstone(key: bytes, revision: int) -> KeyValue:
    """The record of a key's deletion at `revision`: key and mod_revision only."""
    return KeyValue(key, b"", 0, revision, 0, 0)
