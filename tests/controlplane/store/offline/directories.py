"""Data directories as members leave them, made without members."""

from collections.abc import Sequence
from pathlib import Path

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.messages import Entry, EntryKind, HardState, SnapshotMeta
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.storage import StoredState
from podling.controlplane.replica import proposals
from podling.controlplane.replica.members.membership import Member, Membership, configuration_of
from podling.controlplane.store.machine import commands
from podling.controlplane.store.machine.commands import Command
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.requests import PutRequest
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import DataDir
from podling.controlplane.wal.disk import Disk, OsDisk
from podling.controlplane.wal.segments import Identity
from podling.controlplane.wal.snapshot_file import SnapshotPart

ME = Identity(0xC1, 0xA)
MEMBERS = Membership(
    {
        number: Member(name, (f"http://127.0.0.1:{2380 + number}",))
        for number, name in ((0xA, "m1"), (0xB, "m2"), (0xC, "m3"))
    }
)
THREE = configuration_of(MEMBERS)


def machine() -> StoreStateMachine:
    return StoreStateMachine(lambda: 0.0, max_pending_bytes=0)


def put(key: bytes, value: bytes = b"value") -> bytes:
    return commands.encode(PutRequest(key, value))


def command_entry(index: int, command: Command | bytes, term: int = 1) -> Entry:
    """As a replica puts it into the log."""
    data = command if isinstance(command, bytes) else commands.encode(command)
    envelope = proposals._HEAD.pack(proposals.VERSION, 7) + proposals._SEQUENCE.pack(index)
    return Entry(index, term, EntryKind.COMMAND, envelope + data)


def configuration(index: int, configuration: Configuration, term: int = 1) -> Entry:
    return Entry(index, term, EntryKind.CONFIGURATION, configuration_entry.encode(configuration))


class WrittenMember:
    """Writes the directory of one member."""

    def __init__(self, path: Path, disk: Disk | None = None, segment_bytes: int = 1 << 20) -> None:
        self.path = path
        self.disk = disk or OsDisk()
        self.machine = machine()
        self._segment_bytes = segment_bytes
        self._data_dir = DataDir.open(self.disk, path, ME, segment_bytes)
        self._writer = self._data_dir.recover(StoredState()).writer
        self._writer.open()()
        self.save(0, THREE)

    def write(self, entries: Sequence[Entry], commit: int, term: int = 1) -> None:
        """One batch, durable; what it commits is applied."""
        self._writer.append(HardState(term, ME.member_id, commit), entries)()
        for entry in entries:
            if entry.kind is EntryKind.COMMAND and entry.index <= commit:
                self.machine.apply(entry.index, entry.term, proposals.command_of(entry.data))

    def save(self, index: int, members: Configuration = THREE, term: int = 1) -> Path:
        """A snapshot of what was applied."""
        meta = SnapshotMeta(index, term if index else 0, members)
        state = self.machine.snapshot() if index else iter(())
        part = SnapshotPart(self.disk, self._data_dir.snapshots_path, meta)
        for data in snapshot_file.encode(ME.cluster_id, meta, state):
            part.write(data)
        part.finish(ME.cluster_id)
        return snapshot_file.path_of(self._data_dir.snapshots_path, meta)

    def stop(self) -> None:
        self._writer.close()()
        self._data_dir.close()


def written(path: Path, segment_bytes: int = 600) -> Path:
    """A directory with several segments, a snapshot at 5, entries 1 to 9; 8 are committed."""
    member = WrittenMember(path, segment_bytes=segment_bytes)
    member.write([Entry(1, 1, EntryKind.NOOP, b"")], 0)
    for index in range(2, 9):
        member.write([command_entry(index, put(b"key-%d" % index, b"v" * 100))], index)
        if index == 5:
            member.save(5)
    member.write([command_entry(9, put(b"key-9"))], 8)
    member.stop()
    return path


def recovered(path: Path, disk: Disk | None = None) -> StoredState:
    """What a start would find."""
    data_dir = DataDir.open(disk or OsDisk(), path, ME)
    try:
        return data_dir.recover(StoredState()).stored
    finally:
        data_dir.close()
