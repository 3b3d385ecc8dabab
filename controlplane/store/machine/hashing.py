"""A checksum of the store by which members compare themselves (etcd: mvcc/hash.go, HashKV).

It covers what can be read at the compact revision and up to the hashed one, and nothing that
differs between members which applied the same commands: not how far the sweep has come, and not
which member came from a snapshot. It is not the number that etcd computes.
"""

import zlib
from collections.abc import Generator

from podling.controlplane.store.machine.mvcc import Mvcc
from podling.controlplane.store.machine.snapshots import encode_record

SLICE = 1000
"""Keys hashed between two yields."""


def hash_kv(store: Mvcc, revision: int) -> Generator[None, None, int]:
    """Compute the checksum up to `revision` (0: now) in slices; it is what the generator returns.

    Raises Compacted and FutureRevision. The store may change between slices.
    """
    store.check_readable(revision)
    revision = revision if revision > 0 else store.revision
    compact_revision = store.compact_revision
    store.pin()
    try:
        checksum = zlib.crc32(compact_revision.to_bytes(8, "big", signed=True))
        after: bytes | None = None
        while keys := store.next_keys(after, SLICE):
            for key in keys:
                for record in store.readable_records(key, compact_revision, revision):
                    checksum = zlib.crc32(encode_record(record), checksum)
            after = keys[-1]
            yield
    finally:
        store.unpin()
    return checksum
