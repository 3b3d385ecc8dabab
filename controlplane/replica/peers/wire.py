"""Messages of the core as protobuf, and back. Pure.

Members of two versions talk in the older one: each tells the newest that it speaks when a stream is
opened. What the peer's version does not know is not sent, and what is not known here is passed over
and said, so that nothing that a newer member says ends a stream or this member.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft import messages as raft
from podling.controlplane.raft.configuration_entry import UnknownConfiguration
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raftpb import peer_pb2 as pb
from podling.controlplane.replica.members import membership
from podling.controlplane.replica.members.membership import UnknownMembership
from podling.controlplane.wal import encoding

VERSION = 2
"""The newest that this program speaks; it speaks all before, too."""
CHANGES_MEMBERS = 2
"""The version that brought changes of membership."""
READS_SNAPSHOTS = 2
"""The oldest version whose programs can read the snapshot files of this one: their format changed
with it. Who is older gets entries as long as the log has them, and the rest when it is upgraded."""


class UnknownMessage(ValueError):
    """A message that this program does not know, or cannot read."""


def encode_batch(messages: Iterable[raft.Message], version: int = VERSION) -> pb.Batch:
    """For a peer with which `version` is spoken; without the messages that it does not know."""
    known = (each for each in messages if _SINCE.get(type(each), 1) <= version)
    return pb.Batch(version=version, messages=map(encode, known))


def decode_batch(batch: pb.Batch) -> tuple[list[raft.Message], list[UnknownMessage]]:
    """The messages, and why others were passed over. Raises UnknownMessage for a newer version."""
    if not 1 <= batch.version <= VERSION:
        raise UnknownMessage(
            f"messages of version {batch.version}, this program knows {VERSION}; upgrade one side"
        )
    messages: list[raft.Message] = []
    unknown: list[UnknownMessage] = []
    for message in batch.messages:
        try:
            messages.append(decode(message))
        except UnknownMessage as error:
            unknown.append(error)
    return messages, unknown


def encode(message: raft.Message) -> pb.Message:
    field, body = _ENCODERS[type(message)]
    return pb.Message(
        sender=message.sender, to=message.to, term=message.term, **{field: body(message)}
    )


def decode(message: pb.Message) -> raft.Message:
    field = message.WhichOneof("body")
    decoder = _DECODERS.get(field or "")
    if decoder is None:
        raise UnknownMessage("a message of a kind that this program does not know")
    try:
        return decoder((message.sender, message.to, message.term), getattr(message, field or ""))
    except (encoding.UnknownFormat, UnknownConfiguration, UnknownMembership) as error:
        raise UnknownMessage(str(error)) from error


def _entries(data: bytes) -> tuple[raft.Entry, ...]:
    """Those of an append message, if all can be read: what is in the log must not stop anybody."""
    entries = tuple(encoding.decode_entries(data))
    for entry in entries:
        if entry.kind is raft.EntryKind.CONFIGURATION:
            _configuration(entry.data)
    return entries


def _configuration(data: bytes) -> Configuration:
    return _readable(configuration_entry.decode(data))


def _snapshot(data: bytes) -> raft.SnapshotMeta:
    snapshot = encoding.decode_snapshot(data)
    _readable(snapshot.configuration)
    return snapshot


def _readable(configuration: Configuration) -> Configuration:
    if configuration.context:
        membership.decode(configuration.context)
    return configuration


def _append_request(message: raft.AppendRequest) -> pb.AppendRequest:
    return pb.AppendRequest(
        previous_index=message.previous_index,
        previous_term=message.previous_term,
        entries=encoding.encode_entries(message.entries),
        commit=message.commit,
        quiet=message.quiet,
    )


def _refusal(reason: int) -> raft.Refusal:
    """One of a newer program is taken for the one that is worth another try."""
    known = reason in raft.Refusal.__members__.values()
    return raft.Refusal(reason) if known else raft.Refusal.NOT_NOW


_SINCE: Mapping[type[raft.Message], int] = {raft.ProposeConfiguration: CHANGES_MEMBERS}
"""The version that brought each message, unless it was there from the beginning."""
_ENCODERS: Mapping[type[raft.Message], tuple[str, Callable[[Any], Any]]] = {
    raft.VoteRequest: (
        "vote_request",
        lambda m: pb.VoteRequest(
            last_index=m.last_index, last_term=m.last_term, pre=m.pre, force=m.force
        ),
    ),
    raft.VoteResponse: (
        "vote_response",
        lambda m: pb.VoteResponse(granted=m.granted, pre=m.pre),
    ),
    raft.AppendRequest: ("append_request", _append_request),
    raft.AppendResponse: (
        "append_response",
        lambda m: pb.AppendResponse(
            index=m.index, rejected=m.rejected, hint_index=m.hint_index, hint_term=m.hint_term
        ),
    ),
    raft.Heartbeat: ("heartbeat", lambda m: pb.Heartbeat(commit=m.commit, round=m.round)),
    raft.HeartbeatResponse: (
        "heartbeat_response",
        lambda m: pb.HeartbeatResponse(round=m.round),
    ),
    raft.InstallSnapshot: (
        "install_snapshot",
        lambda m: pb.InstallSnapshot(snapshot=encoding.encode_snapshot(m.snapshot)),
    ),
    raft.TimeoutNow: ("timeout_now", lambda m: pb.TimeoutNow()),
    raft.TransferRequest: ("transfer_request", lambda m: pb.TransferRequest(target=m.target)),
    raft.ProposeRequest: (
        "propose_request",
        lambda m: pb.ProposeRequest(request=m.request, commands=m.commands),
    ),
    raft.ProposeConfiguration: (
        "propose_configuration",
        lambda m: pb.ProposeConfiguration(
            request=m.request,
            base=configuration_entry.encode(m.base),
            proposed=configuration_entry.encode(m.proposed),
        ),
    ),
    raft.ProposeRefused: (
        "propose_refused",
        lambda m: pb.ProposeRefused(request=m.request, reason=m.reason),
    ),
    raft.ReadIndexRequest: ("read_index_request", lambda m: pb.ReadIndexRequest(request=m.request)),
    raft.ReadIndexResponse: (
        "read_index_response",
        lambda m: pb.ReadIndexResponse(request=m.request, index=m.index),
    ),
}

_Head = tuple[int, int, int]
_DECODERS: Mapping[str, Callable[[_Head, Any], raft.Message]] = {
    "vote_request": lambda h, b: raft.VoteRequest(*h, b.last_index, b.last_term, b.pre, b.force),
    "vote_response": lambda h, b: raft.VoteResponse(*h, b.granted, b.pre),
    "append_request": lambda h, b: raft.AppendRequest(
        *h,
        b.previous_index,
        b.previous_term,
        _entries(b.entries),
        b.commit,
        b.quiet,
    ),
    "append_response": lambda h, b: raft.AppendResponse(
        *h, b.index, b.rejected, b.hint_index, b.hint_term
    ),
    "heartbeat": lambda h, b: raft.Heartbeat(*h, b.commit, b.round),
    "heartbeat_response": lambda h, b: raft.HeartbeatResponse(*h, b.round),
    "install_snapshot": lambda h, b: raft.InstallSnapshot(*h, _snapshot(b.snapshot)),
    "timeout_now": lambda h, b: raft.TimeoutNow(*h),
    "transfer_request": lambda h, b: raft.TransferRequest(*h, b.target),
    "propose_request": lambda h, b: raft.ProposeRequest(*h, b.request, tuple(b.commands)),
    "propose_configuration": lambda h, b: raft.ProposeConfiguration(
        *h,
        b.request,
        _configuration(b.base),
        _configuration(b.proposed),
    ),
    "propose_refused": lambda h, b: raft.ProposeRefused(*h, b.request, _refusal(b.reason)),
    "read_index_request": lambda h, b: raft.ReadIndexRequest(*h, b.request),
    "read_index_response": lambda h, b: raft.ReadIndexResponse(*h, b.request, b.index),
}
