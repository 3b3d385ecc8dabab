"""An `Inspection` in words, and as values for JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from podling.controlplane.raft.messages import Entry
from podling.controlplane.store.offline.entry_text import describe_configuration, describe_entry
from podling.controlplane.store.offline.inspection import Inspection
from podling.controlplane.store.offline.log_inspection import Problem, SegmentReport
from podling.controlplane.store.offline.snapshot_inspection import SnapshotReport

#: First and last index of the entries that are wanted; None for none of them.
Wanted = tuple[int, int] | None


def lines(found: Inspection, wanted: Wanted) -> Iterator[str]:
    """The whole report."""
    yield str(found.path)
    yield f"  identity       {found.identity or 'unknown'}, format {found.format or 'unknown'}"
    state = found.log.hard_state
    vote = f"{state.vote:x}" if state.vote else "nobody"
    yield f"  hard state     term {state.term}, vote for {vote}, {state.commit} entries committed"
    if (configuration := found.configuration()) is not None:
        index, members = configuration
        yield f"  configuration  {describe_configuration(members)} (entry {index})"
    yield f"log: {_count(len(found.log.segments), 'segment')}, {_span(found.log.entries)}"
    yield from (f"  {_segment_line(each)}" for each in found.log.segments)
    yield f"snapshots: {len(found.snapshots)}"
    for each in found.snapshots:
        yield f"  {_snapshot_line(each)}"
        if each.meta is not None:
            yield f"    {describe_configuration(each.meta.configuration)}"
    chosen = _chosen(found, wanted)
    if chosen:
        yield "entries:"
        yield from (f"  {_entry_line(entry)}" for entry in chosen)
    yield from _problem_lines(found)


def as_json(found: Inspection, wanted: Wanted) -> dict[str, Any]:
    """Keys as they are named here; members' ids in hexadecimal, as everywhere."""
    identity, configuration = found.identity, found.configuration()
    state = found.log.hard_state
    return {
        "path": str(found.path),
        "format": found.format,
        "clusterID": f"{identity.cluster_id:x}" if identity else None,
        "memberID": f"{identity.member_id:x}" if identity else None,
        "hardState": {"term": state.term, "vote": f"{state.vote:x}", "commit": state.commit},
        "configuration": configuration
        and {
            "index": configuration[0],
            "voters": _hex(configuration[1].voters),
            "outgoing": _hex(configuration[1].outgoing),
            "learners": _hex(configuration[1].learners),
        },
        "segments": [_segment_json(each) for each in found.log.segments],
        "snapshots": [_snapshot_json(each) for each in found.snapshots],
        "entries": [_entry_json(entry) for entry in _chosen(found, wanted)],
        "problems": [_problem_json(each) for each in found.problems],
        "starts": found.starts,
    }


def _chosen(found: Inspection, wanted: Wanted) -> list[Entry]:
    if wanted is None:
        return []
    first, last = wanted
    return [entry for entry in found.log.entries if first <= entry.index <= last]


def _entry_line(entry: Entry) -> str:
    index, term, kind, data = entry
    return f"{index}  term {term}  {kind.name}  {len(data)} bytes  {describe_entry(entry)}"


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {
        "index": entry.index,
        "term": entry.term,
        "kind": entry.kind.name,
        "size": len(entry.data),
        "text": describe_entry(entry),
    }


def _segment_line(each: SegmentReport) -> str:
    span = f"entries {each.first_index} to {each.last_index}" if each.first_index else "no entries"
    formats = " and ".join(map(str, sorted(each.formats))) or "unknown"
    records = _count(each.records, "record")
    return (
        f"{each.segment.path.name}  {each.size} bytes, {each.end} used  "
        f"{records} of format {formats}  {span}"
    )


def _segment_json(each: SegmentReport) -> dict[str, Any]:
    return {
        "file": each.segment.path.name,
        "sequence": each.segment.sequence,
        "size": each.size,
        "end": each.end,
        "records": each.records,
        "formats": sorted(each.formats),
        "firstIndex": each.first_index,
        "lastIndex": each.last_index,
    }


def _snapshot_line(each: SnapshotReport) -> str:
    head = f"{each.path.name}  {each.size} bytes"
    if each.meta is not None:
        head += f"  entry {each.meta.index} of term {each.meta.term}"
    if each.damage:
        return f"{head}  damaged"
    if each.state is None:
        return f"{head}  whole: the members that the cluster began with"
    state = each.state
    compacted = f", compacted at {state.compact_revision}" if state.compact_revision else ""
    return (
        f"{head}  whole: revision {state.revision}{compacted}, {_count(state.keys, 'key')}, "
        f"{_count(state.leases, 'lease')}"
    )


def _snapshot_json(each: SnapshotReport) -> dict[str, Any]:
    meta, state = each.meta, each.state
    return {
        "file": each.path.name,
        "size": each.size,
        "index": meta.index if meta else None,
        "term": meta.term if meta else None,
        "voters": _hex(meta.configuration.voters) if meta else None,
        "whole": not each.damage,
        "state": state and {_camel(name): value for name, value in asdict(state).items()},
    }


def _problem_lines(found: Inspection) -> Iterator[str]:
    if not found.problems:
        yield "problems: none"
        return
    yield f"problems: {len(found.problems)}, " + (
        "none of which keeps a member from starting"
        if found.starts
        else "and no member would start"
    )
    for each in found.problems:
        where = f" at byte {each.offset}" if each.offset is not None else ""
        yield f"  {each.path}{where}: {each.what}"
        yield f"    to do: {each.remedy}"


def _problem_json(each: Problem) -> dict[str, Any]:
    return {
        "file": str(each.path),
        "offset": each.offset,
        "what": each.what,
        "remedy": each.remedy,
        "harmless": each.harmless,
    }


def _span(entries: list[Entry]) -> str:
    if not entries:
        return "no entries"
    return f"entries {entries[0].index} to {entries[-1].index}"


def _hex(members: frozenset[int]) -> list[str]:
    return [f"{member:x}" for member in sorted(members)]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
