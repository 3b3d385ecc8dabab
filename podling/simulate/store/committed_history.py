"""What was committed, as the first member to apply it saw it: the one truth about a run.

Every other member must apply the same commands at the same indexes, with the same results, and come
to the same state. What clients were told is compared with it too (`clients`, `watching`).
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.key_values import Event, KeyValue
from podling.controlplane.store.machine import commands, hashing
from podling.controlplane.store.machine.later_commands import OnBehalf
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.simulate.store.traces import Trace

DIGEST_EVERY = 16
"""Commands after which whole states are compared; results and revisions are after each."""


class Applied(NamedTuple):
    """One command as a member applied it."""

    term: int
    command: bytes
    result: object
    revision: int
    previous: int
    """Index of the command before; 0 for the first, and the first after a snapshot."""


class Committed(NamedTuple):
    """One command, when it is applied first."""

    who: Identity | None
    """Who asked for it; None if nobody said."""
    request: Any
    result: Any
    """A StoreError if it was refused."""
    events: tuple[Event, ...]

    @property
    def refused(self) -> bool:
        return isinstance(self.result, Exception)


class Follower(Protocol):
    """Invariants of one kind."""

    def applied(self, command: Committed) -> None: ...


class CommittedHistory:
    """Told of every command that any member applies."""

    def __init__(self, trace: Trace, followers: Sequence[Follower]) -> None:
        """`followers` are told of every command, in their order."""
        self._trace = trace
        self._followers = followers
        self.events: dict[int, tuple[Event, ...]] = {}
        """By revision."""
        self.revision = 1
        """Of the newest command applied anywhere."""
        self.compact_revision = 0
        self.last = 0
        """Index of the newest command applied anywhere."""
        self._applied: dict[int, Applied] = {}
        self._records: dict[bytes, list[KeyValue]] = {}
        """Of each key, tombstones included."""
        self._digests: dict[int, object] = {}
        """Of the state after the command at that index."""
        self._at: dict[int, int] = {}
        """Where each member is: index of the command applied last."""
        self._restored: dict[int, object] = {}
        """Digest of what a member has just restored, until it is known of which index it is."""

    def position(self, member: int) -> int:
        """Index of the last command that `member` has applied; 0 if none is known."""
        return self._at.get(member, 0)

    def at(self, key: bytes, revision: int) -> KeyValue | None:
        """The key as of a revision; None if it did not exist."""
        records = self._records.get(key, [])
        position = bisect_right(records, revision, key=lambda kv: kv.mod_revision)
        found = records[position - 1] if position else None
        return found if found is not None and found.version else None

    def applied(
        self,
        member: int,
        index: int,
        term: int,
        command: bytes,
        result: object,
        machine: StoreStateMachine,
    ) -> None:
        """`member` has applied the command at `index`."""
        previous = self._at.get(member, 0)
        self._at[member] = index
        revision = machine.store.revision
        now = Applied(term, command, _comparable(result), revision, previous)
        known = self._applied.get(index)
        if known is None:
            self._first(member, index, now, result, machine)
        elif known[:-1] != now[:-1] or previous not in (0, known.previous):
            self._trace.fail(
                "applied equal everywhere",
                f"at entry {index} member {member} has {_text(now)}, others had {_text(known)}",
            )
        if index % DIGEST_EVERY == 0:
            self.compare(member, index, machine)

    def saved(self, member: int, machine: StoreStateMachine) -> None:
        """`member` has begun to save a snapshot of what it has applied."""
        self.compare(member, self.position(member), machine)

    def restored(self, member: int, machine: StoreStateMachine) -> None:
        """`member` has replaced its state by that of a snapshot; `settle` tells of which."""
        self._trace.note("restore", f"{member} revision={machine.store.revision}")
        self._restored[member] = digest(machine)

    def settle(self, member: int, snapshot_index: int) -> None:
        """The snapshot that `member` restored ends with that entry."""
        found = self._restored.pop(member, None)
        if found is None:
            return
        at = max((index for index in self._applied if index <= snapshot_index), default=0)
        self._at[member] = max(at, self._at.get(member, 0))
        if self._digests.get(at, found) != found:
            self._trace.fail(
                "applied equal everywhere",
                f"member {member} restored a snapshot of entry {at} with another state: "
                f"{found}, not {self._digests[at]}",
            )

    def forget(self, member: int) -> None:
        """It has ended, and what it had in memory is gone."""
        self._at.pop(member, None)
        self._restored.pop(member, None)

    def waits_to_settle(self, member: int) -> bool:
        return member in self._restored

    def compare(self, member: int, index: int, machine: StoreStateMachine) -> None:
        """The whole state of `member`, which is at `index`, with that of the others there."""
        found = digest(machine)
        known = self._digests.setdefault(index, found)
        if known != found:
            self._trace.fail(
                "applied equal everywhere",
                f"after entry {index} the state of member {member} is {found}, not {known}",
            )

    def _first(
        self, member: int, index: int, now: Applied, result: object, machine: StoreStateMachine
    ) -> None:
        if now.previous not in (0, self.last):
            self._trace.fail(
                "committed entries stay",
                f"member {member} applied entry {index} after {now.previous}, without {self.last}",
            )
        if not self.revision <= now.revision <= self.revision + 1:
            self._trace.fail(
                "revisions grow one by one",
                f"entry {index} took the revision from {self.revision} to {now.revision}",
            )
        self._applied[index] = now
        self.last = max(self.last, index)
        events: tuple[Event, ...] = ()
        if now.revision > self.revision:
            events = self.events[now.revision] = machine.store.events(now.revision)
            self.revision = now.revision
            for event in events:
                self._records.setdefault(event.kv.key, []).append(event.kv)
        self.compact_revision = max(self.compact_revision, machine.store.compact_revision)
        self._trace.note("apply", f"{now.term}/{index} revision={now.revision}")
        who, request = None, commands.decode(now.command)
        if isinstance(request, OnBehalf):
            who, request = request
        for follower in self._followers:
            follower.applied(Committed(who, request, result, events))


def digest(machine: StoreStateMachine) -> object:
    """All that members must have in common, small enough to be kept."""
    slices = hashing.hash_kv(machine.store, 0)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            checksum = end.value
            break
    leases = tuple(sorted((each.id, each.ttl, tuple(sorted(each.keys))) for each in machine.leases))
    store, auth = machine.store, machine.auth
    users = auth.enabled, auth.revision, tuple(auth.users.items()), tuple(auth.roles.items())
    keys = store.revision, store.compact_revision, checksum
    return keys, machine.cluster_version, leases, users, tuple(machine.alarms.listed())


def _comparable(result: Any) -> object:
    return (type(result).__name__, str(result)) if isinstance(result, Exception) else result


def _text(item: Applied) -> str:
    command = commands.decode(item.command)
    return f"{item.term} {command} -> {item.result} at revision {item.revision}"
