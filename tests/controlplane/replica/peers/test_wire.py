import contextlib
from collections.abc import Callable
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft import messages as raft
from podling.controlplane.raft.core import HANDLERS
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raftpb import peer_pb2 as pb
from podling.controlplane.replica.members.membership import Member, Membership, encode
from podling.controlplane.replica.peers import wire
from podling.controlplane.replica.peers.wire import UnknownMessage
from podling.controlplane.wal import encoding

U64 = st.integers(0, 2**64 - 1)
MEMBERS = st.frozensets(U64, max_size=3)
CONTEXTS = [
    b"",
    encode(Membership({1: Member("one", ("http://1",))}, frozenset({2}), 3)),
]
CONFIGURATIONS = st.builds(Configuration, MEMBERS, MEMBERS, MEMBERS, st.sampled_from(CONTEXTS))
ENTRIES = st.one_of(
    st.builds(
        raft.Entry,
        U64,
        U64,
        st.sampled_from([raft.EntryKind.COMMAND, raft.EntryKind.NOOP]),
        st.binary(max_size=20),
    ),
    st.builds(
        raft.Entry,
        U64,
        U64,
        st.just(raft.EntryKind.CONFIGURATION),
        CONFIGURATIONS.map(configuration_entry.encode),
    ),
)
STRATEGIES = {
    "int": U64,
    "bool": st.booleans(),
    "tuple[Entry, ...]": st.lists(ENTRIES, max_size=3).map(tuple),
    "Refusal": st.sampled_from(raft.Refusal),
    "Configuration": CONFIGURATIONS,
    "tuple[bytes, ...]": st.lists(st.binary(max_size=20), max_size=3).map(tuple),
    "SnapshotMeta": st.builds(raft.SnapshotMeta, U64, U64, CONFIGURATIONS),
}


def messages_of(kind: type[raft.Message]) -> st.SearchStrategy[raft.Message]:
    """Messages of one kind with any content, from the types of its fields."""
    names = {field.name: getattr(field.type, "__name__", str(field.type)) for field in fields(kind)}
    names |= {field.name: str(field.type) for field in fields(kind) if "[" in str(field.type)}
    shortened = {
        name: text.replace("podling.controlplane.raft.messages.", "")
        for name, text in names.items()
    }
    return st.builds(kind, **{name: STRATEGIES[text] for name, text in shortened.items()})


KINDS = sorted(
    {kind for table in HANDLERS.values() for kind in table},
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_kind_of_message_comes_back(kind: type[raft.Message], data: st.DataObject) -> None:
    sent = data.draw(st.lists(messages_of(kind), max_size=3))
    batch = pb.Batch.FromString(wire.encode_batch(sent).SerializeToString())

    assert wire.decode_batch(batch) == (sent, [])


def test_a_newer_version_is_named() -> None:
    with pytest.raises(UnknownMessage, match="version 3, this program knows 2"):
        wire.decode_batch(pb.Batch(version=3))


def test_what_a_peer_does_not_know_is_not_sent() -> None:
    heartbeat = raft.Heartbeat(1, 2, 3, commit=4)
    change = raft.ProposeConfiguration(1, 2, 3, 4, Configuration(), Configuration())
    batch = wire.encode_batch([change, heartbeat], version=1)

    assert batch.version == 1
    assert wire.decode_batch(batch) == ([heartbeat], [])


def test_a_message_of_an_unknown_kind_is_passed_over_and_named() -> None:
    heartbeat = raft.Heartbeat(1, 2, 3, commit=4)
    batch = wire.encode_batch([heartbeat])
    batch.messages.insert(0, pb.Message(sender=1, to=2, term=3))
    messages, unknown = wire.decode_batch(batch)

    assert messages == [heartbeat]
    assert [str(each) for each in unknown] == [
        "a message of a kind that this program does not know"
    ]


def test_a_reason_of_a_newer_program_is_taken_for_one_that_passes() -> None:
    refused = pb.Message(sender=1, propose_refused=pb.ProposeRefused(request=5, reason=99))

    assert wire.decode(refused) == raft.ProposeRefused(1, 0, 0, 5, raft.Refusal.NOT_NOW)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UnknownMessage, match="of a kind that this program does not know"):
        wire.decode(pb.Message(sender=1, to=2, term=3))


@pytest.mark.parametrize(
    "message",
    [
        lambda data: pb.Message(append_request=pb.AppendRequest(entries=data)),
        lambda data: pb.Message(append_request=pb.AppendRequest(entries=_change(data))),
        lambda data: pb.Message(install_snapshot=pb.InstallSnapshot(snapshot=data)),
        lambda data: pb.Message(propose_configuration=pb.ProposeConfiguration(base=data)),
        lambda data: pb.Message(
            propose_configuration=pb.ProposeConfiguration(
                base=_members(b""), proposed=_members(data)
            )
        ),
    ],
    ids=["entries", "configuration", "snapshot", "base", "members"],
)
@given(data=st.binary(min_size=1))
def test_whatever_comes_is_read_or_named(
    message: Callable[[bytes], pb.Message], data: bytes
) -> None:
    with contextlib.suppress(UnknownMessage):
        wire.decode(message(data))


def _change(data: bytes) -> bytes:
    return encoding.encode_entries([raft.Entry(1, 1, raft.EntryKind.CONFIGURATION, data)])


def _members(context: bytes) -> bytes:
    return configuration_entry.encode(Configuration(context=context))


def test_members_of_a_newer_format_are_named_and_taken_into_no_log() -> None:
    newer = _change(_members(b'{"format":99}'))
    with pytest.raises(UnknownMessage, match="a membership of format 99, this program knows 1"):
        wire.decode(pb.Message(append_request=pb.AppendRequest(entries=newer)))


def test_unreadable_entries_are_named() -> None:
    message = pb.Message(append_request=pb.AppendRequest(entries=b"nonsense"))
    with pytest.raises(UnknownMessage, match="not a list of entries"):
        wire.decode(message)
