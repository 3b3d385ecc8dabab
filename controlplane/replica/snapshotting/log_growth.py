"""When the next snapshot is due, and how much of the log stays behind it. Pure.

A snapshot writes the whole state, the log only what has changed: rewriting 300 MB for every 10,000
small entries would cost a hundred times what the entries do. But the log must stay bounded, in
memory and on disk, whatever the entries' sizes. So a snapshot is due when, since the last one,

* `snapshot_count` entries were applied that are together at least as large as the last snapshot:
  then writing the state costs at most about what writing the entries has; or
* ten times `snapshot_count` entries; or
* `snapshot_bytes` of entries.

What was applied before it stays in the log as far as `catch_up_entries` and `catch_up_bytes` go. On
disk it stays as long as the snapshot before the newest one does, which needs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from podling.controlplane.raft.messages import Entry, size_of
from podling.controlplane.replica.config import ReplicaConfig

COUNT_LIMIT = 10
"""Times `snapshot_count`, at which a snapshot is due however large the state is."""


class Mark(NamedTuple):
    """How much had been applied at some point."""

    entries: int
    size: int
    """Bytes."""


@dataclass(slots=True)
class LogGrowth:
    """Counts what is applied."""

    config: ReplicaConfig
    state_size: int = 0
    """Bytes of the newest snapshot's file; 0 if there is none."""
    entries: int = 0
    """Applied since that."""
    size: int = 0
    """Their bytes."""

    def applied(self, entries: Sequence[Entry]) -> None:
        self.entries += len(entries)
        self.size += size_of(entries)

    @property
    def due(self) -> bool:
        """Whether the next snapshot is."""
        count = self.config.snapshot_count
        if self.entries >= COUNT_LIMIT * count or self.size >= self.config.snapshot_bytes:
            return True
        return self.entries >= count and self.size >= self.state_size

    def mark(self) -> Mark:
        """Now, where a snapshot begins to be made."""
        return Mark(self.entries, self.size)

    def saved(self, since: Mark, state_size: int) -> None:
        """The snapshot that was begun at the mark exists."""
        self.entries -= since.entries
        self.size -= since.size
        self.state_size = state_size

    def restored(self, state_size: int) -> None:
        """A leader's snapshot has replaced everything."""
        self.entries, self.size, self.state_size = 0, 0, state_size

    def kept(self, behind: Sequence[Entry]) -> int:
        """How many of these, the last ones before a snapshot, stay in the log."""
        count = size = 0
        for entry in reversed(behind[-self.config.catch_up_entries :]):
            size += entry.size
            if size > self.config.catch_up_bytes:
                break
            count += 1
        return count
