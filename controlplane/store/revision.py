"""The position of one change in the history of the store (etcd: server/storage/mvcc/revision.go).

A fresh store is at revision 1. Each transaction that changes anything takes the next `main`; its
changes are numbered from 0 by `sub`, in the order of its operations. A transaction that deletes
two keys and then puts one, on a store at revision 7, makes the changes (8, 0), (8, 1) and (8, 2).
"""

import struct
from typing import NamedTuple

#: The revision of a store that nothing has been written to.
FIRST = 1

_LAYOUT = struct.Struct(">QI")

#: Bytes of an encoded revision.
ENCODED_SIZE = _LAYOUT.size


class Revision(NamedTuple):
    """Ordered as a tuple: by transaction, then by operation."""

    main: int
    """Counts transactions that changed something; what clients call the revision."""
    sub: int
    """Counts changes within the transaction, from 0."""

    def encode(self) -> bytes:
        """Big-endian, so that encoded revisions sort as revisions do."""
        return _LAYOUT.pack(self.main, self.sub)

    @classmethod
    def decode(cls, data: bytes) -> "Revision":
        """Raises ValueError if `data` is not what `encode` makes."""
        if len(data) != ENCODED_SIZE:
            raise ValueError(f"a revision has {ENCODED_SIZE} bytes, not {len(data)}")
        return cls(*_LAYOUT.unpack(data))
