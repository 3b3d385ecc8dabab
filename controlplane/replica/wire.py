"""Messages of the core as protobuf, and back. Pure.

Raises UnknownMessage for what a newer member may say and this one cannot understand.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from podling.controlplane.raft import messages as raft
from podling.controlplane.raftpb import peer_pb2 as pb
from podling.controlplane.wal import encoding

VERSION = 1


class UnknownMessage(ValueError):
    """A message that this program does not know, or cannot read."""


def encode_batch(messages: Iterable[raft.Message]) -> pb.Batch:
    return pb.Batch(version=VERSION, messages=map(encode, messages))


def decode_batch(batch: pb.Batch) -> list[raft.Message]:
    if batch.version != VERSION:
        raise UnknownMessage(
            f"messages of version {batch.version}, this program knows {VERSION}; upgrade one side"
        )
    return [decode(message) for message in batch.messages]


def encode(message: raft.Message) -> pb.Message:
    try:
        field, body = _ENCODERS[type(message)]
    except KeyError:
        raise UnknownMessage(f"{type(message).__name__} cannot be sent") from None
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
    except encoding.UnknownFormat as error:
        raise UnknownMessage(str(error)) from error


def _append_request(message: raft.AppendRequest) -> pb.AppendRequest:
    return pb.AppendRequest(
        previous_index=message.previous_index,
        previous_term=message.previous_term,
        entries=encoding.encode_entries(message.entries),
        commit=message.commit,
        quiet=message.quiet,
    )


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
    raft.ProposeRefused: ("propose_refused", lambda m: pb.ProposeRefused(request=m.request)),
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
        tuple(encoding.decode_entries(b.entries)),
        b.commit,
        b.quiet,
    ),
    "append_response": lambda h, b: raft.AppendResponse(
        *h, b.index, b.rejected, b.hint_index, b.hint_term
    ),
    "heartbeat": lambda h, b: raft.Heartbeat(*h, b.commit, b.round),
    "heartbeat_response": lambda h, b: raft.HeartbeatResponse(*h, b.round),
    "install_snapshot": lambda h, b: raft.InstallSnapshot(*h, encoding.decode_snapshot(b.snapshot)),
    "timeout_now": lambda h, b: raft.TimeoutNow(*h),
    "transfer_request": lambda h, b: raft.TransferRequest(*h, b.target),
    "propose_request": lambda h, b: raft.ProposeRequest(*h, b.request, tuple(b.commands)),
    "propose_refused": lambda h, b: raft.ProposeRefused(*h, b.request),
    "read_index_request": lambda h, b: raft.ReadIndexRequest(*h, b.request),
    "read_index_response": lambda h, b: raft.ReadIndexResponse(*h, b.request, b.index),
}
