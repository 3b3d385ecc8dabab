"""What a leader believes about one follower, and how much it may send.

PROBE      where the logs agree is not known: one message, then wait for the answer
REPLICATE  it is known: messages go out without waiting, as far as the window allows
SNAPSHOT   the follower needs entries that are compacted away: nothing until it has a snapshot

    PROBE --accepted--> REPLICATE          REPLICATE --rejected, unreachable--> PROBE
    PROBE, REPLICATE --compacted--> SNAPSHOT --sent, failed--> PROBE
                                    SNAPSHOT --accepted--> REPLICATE
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum


class State(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


@dataclass(slots=True)
class Window:
    """Append messages under way, oldest first, bounded by count and bytes."""

    max_messages: int
    max_bytes: int
    _messages: deque[tuple[int, int]] = field(default_factory=deque)
    """(last index, bytes) of each."""
    _bytes: int = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def size(self) -> int:
        return self._bytes

    @property
    def full(self) -> bool:
        return len(self._messages) >= self.max_messages or self._bytes >= self.max_bytes

    def add(self, last_index: int, size: int) -> None:
        self._messages.append((last_index, size))
        self._bytes += size

    def free_to(self, index: int) -> None:
        """Everything up to `index` has been answered."""
        while self._messages and self._messages[0][0] <= index:
            self._bytes -= self._messages.popleft()[1]

    def free_first(self) -> None:
        """Room for one more: its answer may have been lost."""
        if self._messages:
            self.free_to(self._messages[0][0])

    def clear(self) -> None:
        self._messages.clear()
        self._bytes = 0


@dataclass(slots=True)
class Progress:
    """One follower as its leader sees it; the leader keeps one of itself, too."""

    next_index: int
    """First entry to send next; in REPLICATE it runs ahead of what was answered."""
    window: Window
    match_index: int = 0
    """Last entry known to be on its disk: 0 <= match_index < next_index."""
    state: State = State.PROBE
    probing: bool = False
    """PROBE: a message is under way; the next goes after its answer or a heartbeat's."""
    snapshot_index: int = 0
    """SNAPSHOT: which one is on its way."""
    active: bool = False
    """Heard from since the leader last checked its quorum."""
    sent_commit: int = 0
    """Highest commit index told to it in this term."""

    @property
    def paused(self) -> bool:
        """Whether to send no entries now."""
        if self.state is State.PROBE:
            return self.probing
        return self.state is State.SNAPSHOT or self.window.full

    def become_probe(self) -> None:
        self.next_index = self.match_index + 1
        self._enter(State.PROBE)

    def snapshot_ended(self, ok: bool) -> None:
        """The stream of a snapshot ended; `ok` if the follower says that it has it.

        Its answer says so too, but may be lost: so probe right behind the snapshot. Waits for an
        answer or a heartbeat's either way, so as not to send a second one at once.
        """
        if self.state is not State.SNAPSHOT:
            return
        installed = self.snapshot_index if ok else 0
        self._enter(State.PROBE)
        self.next_index = max(self.match_index, installed) + 1
        self.probing = True

    def become_replicate(self) -> None:
        self.next_index = self.match_index + 1
        self._enter(State.REPLICATE)

    def become_snapshot(self, index: int) -> None:
        self._enter(State.SNAPSHOT)
        self.snapshot_index = index

    def _enter(self, state: State) -> None:
        self.state = state
        self.probing = False
        self.snapshot_index = 0
        self.window.clear()

    def sent(self, last_index: int, size: int) -> None:
        """An append message with entries up to `last_index` was sent (`size` 0: none)."""
        if self.state is State.PROBE:
            self.probing = True
        elif size:
            self.next_index = last_index + 1
            self.window.add(last_index, size)

    def acknowledge(self, index: int) -> bool:
        """The follower has everything up to `index` on disk; whether that is news."""
        if index < self.match_index:
            return False
        news = index > self.match_index
        self.match_index = index
        self.next_index = max(self.next_index, index + 1)
        self.window.free_to(index)
        installed = self.state is State.SNAPSHOT and index >= self.snapshot_index
        if self.state is State.PROBE or installed:
            self.become_replicate()
        return news

    def reject(self, rejected: int, agree_at_most: int) -> bool:
        """The follower has no matching entry at `rejected`; whether that is news.

        Answers to messages of long ago are not: they speak of what is known to match, or of a probe
        that is not the current one.
        """
        if self.state is State.REPLICATE:
            if rejected <= self.match_index:
                return False
            self.become_probe()
            return True
        if self.state is State.SNAPSHOT or self.next_index - 1 != rejected:
            return False
        self.next_index = max(min(rejected, agree_at_most + 1), self.match_index + 1)
        self.probing = False
        return True
