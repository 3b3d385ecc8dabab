"""What the API server needs of a store, as plain values and bytes in etcd's terms.

Two implementations pass the same contract suite: `EtcdStorage` speaks the etcd v3 protocol to any
etcd, and the launcher adapts the store embedded in the same process, which is called directly.
The calls map to the request shapes that kube-apiserver sends to etcd (staging
k8s.io/apiserver/pkg/storage/etcd3), so any etcd-compatible store will do.

A write that ends in `OutcomeUnknown` may or may not have happened, now or later. It is never
repeated here: only the caller knows whether that is safe.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class KeyValue(NamedTuple):
    """One key at one revision (etcd's mvccpb.KeyValue)."""

    key: bytes
    value: bytes
    create_revision: int
    """Revision of the write that created the key."""
    mod_revision: int
    """Revision of the write that gave it this value; Kubernetes' resourceVersion."""
    version: int
    """Counts writes since creation, from 1."""
    lease: int
    """The lease that the key dies with; 0 for none."""


class GetResult(NamedTuple):
    kv: KeyValue | None
    revision: int
    """The store's revision when it answered."""


class ListResult(NamedTuple):
    kvs: Sequence[KeyValue]
    """In ascending order of keys."""
    total: int
    """Keys in the whole range, whatever the limit."""
    revision: int
    """The store's revision when it answered, also where an older one was read."""


class WriteResult(NamedTuple):
    succeeded: bool
    """False: the key's mod_revision was not the expected one, and nothing changed."""
    revision: int
    """Of the write; if it did not succeed, the store's revision when it answered."""
    current: KeyValue | None
    """If it did not succeed: the key as it stands (None if it does not exist).
    If a delete succeeded: what was deleted. Otherwise None."""


class Event(NamedTuple):
    """One change of one key."""

    kv: KeyValue
    """After a put: the new state. After a delete: key and mod_revision only, value empty."""
    previous: KeyValue | None
    """The state before; None if the key did not exist."""
    deleted: bool


@dataclass(frozen=True, slots=True)
class WatchBatch:
    """All events up to and including `revision` that were not delivered before.

    In order of revision, then of operations within a transaction; one revision is never split.
    Without events it is progress: everything up to `revision` has been delivered.
    """

    events: Sequence[Event]
    revision: int


class StorageError(Exception):
    """Base of all that a store refuses or fails to do. Nothing changed, unless a subclass says."""


class Compacted(StorageError):
    """The revision asked for is gone; `compact_revision` is the oldest that can still be had."""

    def __init__(self, compact_revision: int) -> None:
        super().__init__(f"revision compacted, the oldest available is {compact_revision}")
        self.compact_revision = compact_revision


class FutureRevision(StorageError):
    """The revision asked for has not happened yet."""


class Unavailable(StorageError):
    """No quorum or no leader right now; nothing was written. Try again."""


class OutcomeUnknown(StorageError):
    """The write timed out: it may have happened or may still happen."""


class TooManyRequests(StorageError):
    """The store is at its bound of proposals in flight; nothing was written. Try later."""


class TooLarge(StorageError):
    """The request is larger than the store takes."""


class NoSpace(StorageError):
    """The store is over its quota and takes no writes until space is made."""


class Watch(Protocol):
    """One watch: iterate it for batches, `close()` when done.

    Iteration raises `Compacted` if history was compacted before it was read, and `Unavailable` when
    the store goes away; it ends when closed. A watch that is not read in time is bounded by its
    implementation, which then ends it with `TooManyRequests`.
    """

    def __aiter__(self) -> AsyncIterator[WatchBatch]: ...

    async def request_progress(self) -> None:
        """Ask for a batch, empty if need be, whose revision is at least the store's now."""

    async def close(self) -> None: ...


class Storage(Protocol):
    """Linearizable reads and compare-and-swap writes over a flat, ordered space of keys."""

    async def get(self, key: bytes) -> GetResult:
        """The key as it stands; also the way to learn the store's current revision."""

    async def list(
        self, start: bytes, end: bytes, *, limit: int = 0, revision: int = 0
    ) -> ListResult:
        """The keys in [start, end), at most `limit` of them (0: all), as of `revision` (0: now).

        Raises Compacted or FutureRevision.
        """

    async def put(
        self, key: bytes, value: bytes, *, expected_revision: int, lease: int = 0
    ) -> WriteResult:
        """Write if the key's mod_revision is `expected_revision` (0: it must not exist)."""

    async def delete(self, key: bytes, *, expected_revision: int) -> WriteResult:
        """Delete if the key's mod_revision is `expected_revision`."""

    async def watch(self, start: bytes, end: bytes, *, after_revision: int) -> Watch:
        """Watch the keys in [start, end) for what happens after `after_revision`.

        Raises Compacted if that is already gone.
        """

    async def grant_lease(self, ttl: int) -> int:
        """A new lease of at least `ttl` seconds, which is never renewed; returns its id."""

    async def compact(self, revision: int) -> None:
        """Forget history before `revision`. Doing so twice, or late, is no error."""
