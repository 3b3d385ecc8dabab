"""A member with a disk in memory: does a driver's duties one at a time, as a test wants them."""

import random
from collections import deque
from dataclasses import dataclass, field

from podling.controlplane.raft.config import Config
from podling.controlplane.raft.messages import Entry, HardState, Message, SnapshotMeta
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.rawnode import RawNode, Ready
from podling.controlplane.raft.storage import StoredState


@dataclass
class Durable:
    """What survives a crash."""

    snapshot: SnapshotMeta
    hard_state: HardState = field(default_factory=HardState)
    entries: list[Entry] = field(default_factory=list)
    base_term: int = 0

    def write(self, ready: Ready) -> None:
        if ready.snapshot is not None:
            self.snapshot, self.entries = ready.snapshot, []
            self.base_term = ready.snapshot.term
        if ready.entries:
            first = ready.entries[0].index
            self.entries = [entry for entry in self.entries if entry.index < first]
            self.entries += ready.entries
        if ready.hard_state is not None:
            self.hard_state = ready.hard_state

    def compact(self, index: int) -> None:
        kept = [entry for entry in self.entries if entry.index > index]
        if len(kept) < len(self.entries):
            self.base_term = self.entries[len(self.entries) - len(kept) - 1].term
        self.entries = kept

    def stored(self) -> StoredState:
        return StoredState(self.snapshot, self.hard_state, tuple(self.entries), self.base_term)


class Member:
    """A core, the driver's loop around it in single steps, and its disk."""

    def __init__(self, config: Config, configuration: Configuration, dice: random.Random) -> None:
        self.config = config
        self.id = config.member_id
        self.dice = dice
        self.disk = Durable(SnapshotMeta(configuration=configuration))
        self.writes: deque[Ready] = deque()
        """Under way: lost in a crash."""
        self.node: RawNode
        self.start()

    def start(self) -> None:
        self.running = True
        self.node = RawNode(self.config, self.disk.stored(), self.dice)
        self.reads: list[tuple[int, int]] = []
        self.refused: list[int] = []

    def crash(self) -> None:
        self.writes.clear()
        self.running = False

    def take_ready(self) -> Ready | None:
        """One Ready: its write is queued, what it commits is applied.

        The caller sends `messages`; `messages_after_persist` come out of `persist`.
        """
        ready = self.node.ready()
        if ready is None:
            return None
        self.writes.append(ready)
        self.reads += ready.reads
        self.refused += ready.refused
        self.node.advance(ready)
        return ready

    def persist(self) -> list[Message]:
        """Finish the oldest write; return what may be sent now."""
        ready = self.writes.popleft()
        if ready.must_persist:
            self.disk.write(ready)
            self.node.persisted(ready.number)
        return list(ready.messages_after_persist)

    def save_snapshot(self, keep: int) -> SnapshotMeta | None:
        """Snapshot the applied state, keep that many entries behind it."""
        snapshot = self.node.snapshot_point()
        if snapshot is not None:
            self.disk.snapshot = snapshot
            compact_to = max(snapshot.index - keep, 0)
            self.node.snapshot_saved(snapshot, compact_to)
            self.disk.compact(compact_to)
        return snapshot
