"""All that is remembered of one key (after etcd: server/storage/mvcc/key_index.go).

A key's records form generations. A generation begins with the put that creates the key and ends
with the tombstone that deletes it; the next put begins a new one. For example, take the operations

    put foo at 2, put foo at 4, delete foo at 5, put foo at 7, delete foo at 9

which leave the generations

    {2, 4, 5(tombstone)}, {7, 9(tombstone)}

Compacting at a revision forgets what no read at that revision or later can see: of the records up
to it only the newest stays, and not even that one if it is a tombstone. Compacting the above

    at 2 leaves {2, 4, 5t}, {7, 9t}        2 is what a read at 2 sees
    at 3 leaves {2, 4, 5t}, {7, 9t}        2 is what a read at 3 sees
    at 4 leaves {4, 5t}, {7, 9t}
    at 5 leaves {7, 9t}                    a read at 5 or 6 sees no key
    at 8 leaves {7, 9t}
    at 9 leaves nothing: the index itself is dropped

Most keys have exactly one record, so the newest record stands apart and the list of older ones is
made only when there are any.
"""

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter

from podling.controlplane.store.key_values import KeyValue

_mod_revision = attrgetter("mod_revision")


class KeyIndex:
    """The records of one key, in ascending order of mod_revision."""

    __slots__ = ("newest", "older")

    newest: KeyValue
    """The last record; a tombstone (version 0) if the key does not exist now."""
    older: list[KeyValue] | None
    """The records before the newest, oldest first; None if there are none."""

    def __init__(self, first: KeyValue) -> None:
        self.newest = first
        self.older = None

    def append(self, record: KeyValue) -> None:
        """Add the record of a later revision than all before."""
        if self.older is None:
            self.older = [self.newest]
        else:
            self.older.append(self.newest)
        self.newest = record

    def at(self, revision: int) -> KeyValue | None:
        """The key as a read at `revision` sees it; None if it does not exist then."""
        record = self.record_at(revision)
        return record if record is not None and record.version else None

    def record_at(self, revision: int) -> KeyValue | None:
        """The newest record up to `revision`, which may be a tombstone."""
        if self.newest.mod_revision <= revision:
            return self.newest
        older = self.older
        if older is None:
            return None
        # Reads of the past are mostly of the recent past.
        if older[-1].mod_revision <= revision:
            return older[-1]
        found = bisect_right(older, revision, key=_mod_revision)
        return older[found - 1] if found else None

    def compact(self, revision: int) -> list[KeyValue]:
        """Forget what no read at `revision` or later can see; return what was forgotten.

        If that is every record, the index is of no more use (`is_dead_at` tells beforehand).
        """
        if self.newest.mod_revision <= revision:
            dropped, self.older = self.older or [], None
            return dropped if self.newest.version else [*dropped, self.newest]
        if self.older is None:
            return []
        # The record that a read at `revision` sees stays, unless it is a tombstone.
        cut = bisect_right(self.older, revision, key=_mod_revision)
        if cut and self.older[cut - 1].version:
            cut -= 1
        dropped, self.older = self.older[:cut], self.older[cut:] or None
        return dropped

    def is_dead_at(self, revision: int) -> bool:
        """Whether the key was deleted by `revision` and not created again since."""
        return not self.newest.version and self.newest.mod_revision <= revision

    def records(self) -> Iterator[KeyValue]:
        """All records, oldest first."""
        if self.older is not None:
            yield from self.older
        yield self.newest

    def generations(self) -> list[list[KeyValue]]:
        """The records by life of the key; all but the last life end with a tombstone."""
        lives: list[list[KeyValue]] = []
        for record in self.records():
            if not lives or not lives[-1][-1].version:
                lives.append([])
            lives[-1].append(record)
        return lives
