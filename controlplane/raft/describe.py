"""Text for people: messages, Readies, status and logs, one fact a word.

Used by log lines, scenario files and the dump command, so that all speak alike:

    1->2 AppendRequest term=1 previous=1/0 commit=0 entries=[1/2 noop, 1/3 "a"]

`1/2` is term 1, index 2. Commands are shown where they are text, as those of scenario files are; of
others it is said how long they are, since log lines must not have values and passwords in them.
"""

from collections.abc import Iterable
from dataclasses import fields

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.messages import (
    AppendRequest,
    Entry,
    EntryKind,
    HardState,
    InstallSnapshot,
    Message,
    Refusal,
    SnapshotMeta,
    VoteRequest,
)
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.rawnode import RawNode, Ready
from podling.controlplane.raft.state import Role

_ADDRESSING = ("sender", "to", "term")
_ENTRIES_SHOWN = 8


def entry(item: Entry) -> str:
    what = item.kind.name.lower()
    if item.kind is EntryKind.COMMAND:
        what = text(item.data)
    elif item.kind is EntryKind.CONFIGURATION:
        what += f" {_configuration_of(item)}"
    return f"{item.term}/{item.index} {what}"


def _configuration_of(item: Entry) -> str:
    try:
        return configuration(configuration_entry.decode(item.data))
    except configuration_entry.UnknownConfiguration as error:
        return f"({error})"


def entries(items: Iterable[Entry]) -> str:
    shown = [entry(item) for item in items]
    if len(shown) > _ENTRIES_SHOWN:
        half = _ENTRIES_SHOWN // 2
        shown = [*shown[:half], f"... {len(shown) - 2 * half} more", *shown[-half:]]
    return "[" + ", ".join(shown) + "]"


def text(data: bytes) -> str:
    """At most 40 bytes of what is text, quoted; only the length of what is not."""
    if not data.isascii() or not data.decode("ascii").isprintable():
        return f"({len(data)} bytes)"
    shown = data[:40].decode("ascii")
    return f'"{shown}"' if len(data) <= 40 else f'"{shown}... {len(data)} bytes"'


def configuration(item: Configuration) -> str:
    parts = [_members("voters", item.voters)]
    if item.outgoing:
        parts.append(_members("outgoing", item.outgoing))
    if item.learners:
        parts.append(_members("learners", item.learners))
    if item.context:
        parts.append(f"context={text(item.context)}")
    return " ".join(parts)


def refusal(item: Refusal) -> str:
    return item.name.lower().replace("_", "-")


def _members(name: str, members: Iterable[int]) -> str:
    return f"{name}=({','.join(map(str, sorted(members)))})"


def snapshot(item: SnapshotMeta) -> str:
    return f"{item.term}/{item.index} {configuration(item.configuration)}"


def hard_state(item: HardState) -> str:
    return f"term={item.term} vote={item.vote} commit={item.commit}"


def message(item: Message) -> str:
    head = f"{item.sender}->{item.to} {type(item).__name__} term={item.term}"
    if isinstance(item, AppendRequest):
        previous = f"previous={item.previous_term}/{item.previous_index}"
        tail = "quiet" if item.quiet else f"entries={entries(item.entries)}"
        return f"{head} {previous} commit={item.commit} {tail}"
    if isinstance(item, InstallSnapshot):
        return f"{head} snapshot={snapshot(item.snapshot)}"
    if isinstance(item, VoteRequest):
        flags = "".join(f" {name}" for name in ("pre", "force") if getattr(item, name))
        return f"{head} last={item.last_term}/{item.last_index}{flags}"
    return head + "".join(f" {part}" for part in _other_fields(item))


def _other_fields(item: Message) -> Iterable[str]:
    """Flags by name when set, numbers as name=value unless zero; commands are only counted."""
    for field in fields(item):
        value = getattr(item, field.name)
        if field.name in _ADDRESSING or value in (False, 0):
            continue
        if value is True:
            yield field.name
        elif isinstance(value, Configuration):
            yield f"{field.name}=[{configuration(value)}]"
        elif isinstance(value, Refusal):
            yield refusal(value)
        elif isinstance(value, tuple):
            yield f"{field.name}={len(value)}"
        else:
            yield f"{field.name}={value}"


def ready(item: Ready) -> str:
    """Several lines, in the order in which a driver acts on them."""
    lines = [f"ready {item.number}: {item.role.value} term={item.term} leader={item.leader}"]
    lines += [f"  send {message(each)}" for each in item.messages]
    if item.snapshot is not None:
        lines.append(f"  install snapshot {snapshot(item.snapshot)}")
    if item.hard_state is not None:
        lines.append(f"  write {hard_state(item.hard_state)}")
    if item.entries:
        lines.append(f"  write entries {entries(item.entries)}")
    lines += [f"  after that send {message(each)}" for each in item.messages_after_persist]
    if item.committed:
        lines.append(f"  apply {entries(item.committed)}")
    lines += [f"  read request={request} at index={index}" for request, index in item.reads]
    lines += [f"  refused request={request} {refusal(reason)}" for request, reason in item.refused]
    if item.configuration is not None:
        lines.append(f"  members {configuration(item.configuration)}")
    return "\n".join(lines)


def status(node: RawNode) -> str:
    """One line for the member, and if it leads one for each follower."""
    raft = node.raft
    lines = [
        f"{raft.id}: {raft.role.value} term={raft.term} vote={raft.vote} leader={raft.leader} "
        f"applied={raft.log.applied} committed={raft.log.committed} stable={raft.log.stable} "
        f"last={raft.log.last_term}/{raft.log.last_index}"
    ]
    if raft.role is Role.LEADER:
        lines += [_progress(node, peer) for peer in raft.peers]
    return "\n".join(lines)


def _progress(node: RawNode, peer: int) -> str:
    item = node.raft.progress[peer]
    words = [f"  {peer}: {item.state.value} match={item.match_index} next={item.next_index}"]
    if item.window:
        words.append(f"inflight={len(item.window)}")
    if item.snapshot_index:
        words.append(f"snapshot={item.snapshot_index}")
    words += ["paused"] if item.paused else []
    words += [] if item.active else ["inactive"]
    return " ".join(words)
