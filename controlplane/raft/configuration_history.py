"""Which configuration was in force at which point of a log.

A configuration is in force from the entry that holds it on, committed or not, and when that entry
is overwritten the one before it is in force again (Raft paper, section 6; thesis 4.1).
"""

from collections.abc import Iterable

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.messages import Entry, EntryKind, SnapshotMeta
from podling.controlplane.raft.quorum import Configuration


class ConfigurationHistory:
    """Follows the log: told of all that is appended to it, cut off and compacted."""

    def __init__(self, snapshot: SnapshotMeta, entries: Iterable[Entry]) -> None:
        """Raises UnknownConfiguration, as `append` does."""
        self._items = [(snapshot.index, snapshot.configuration)]
        """(index of its entry, configuration), from the newest snapshot's on."""
        self.latest = snapshot.configuration
        """The one in force."""
        self.append(entry for entry in entries if entry.index > snapshot.index)

    @property
    def latest_index(self) -> int:
        """Index of its entry; it may change no more if that is committed."""
        return self._items[-1][0]

    def decided_by(self, member: int) -> int:
        """The index of the latest, if only `member` voted in the one before it; 0 otherwise.

        A joint configuration has to be decided by its own voters too.
        """
        if len(self._items) < 2 or self.latest.outgoing:
            return 0
        _, before = self._items[-2]
        return self.latest_index if before.all_voters == {member} else 0

    def append(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.kind is EntryKind.CONFIGURATION:
                self.latest = configuration_entry.decode(entry.data)
                self._items.append((entry.index, self.latest))

    def cut(self, index: int) -> None:
        """The entries from `index` on, none of them committed, are gone."""
        while self._items[-1][0] >= index:
            self._items.pop()
        self.latest = self._items[-1][1]

    def at(self, index: int) -> Configuration:
        """The one in force at `index`, which no snapshot lies beyond."""
        return next(item for start, item in reversed(self._items) if start <= index)

    def forget_before(self, index: int) -> None:
        """Nobody will ask for a configuration of before `index` any more."""
        while len(self._items) > 1 and self._items[1][0] <= index:
            del self._items[0]
