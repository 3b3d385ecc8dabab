"""Files that a member saves itself."""

from pathlib import Path

from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.replica.snapshotting.received_snapshots import ReceivedSnapshots
from podling.controlplane.replica.snapshotting.snapshots import Snapshots
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import DataDir
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.segments import Identity
from tests.controlplane.replica.ledger import Ledger
from tests.controlplane.replica.snapshotting.test_received_snapshots import stream

ME = Identity(0xC1, 1)


def snapshot_at(index: int) -> SnapshotMeta:
    return SnapshotMeta(index, 4, Configuration(frozenset({1, 2, 3})))


async def test_two_newer_files_may_come_while_one_is_saved(tmp_path: Path) -> None:
    """The newest two are kept, so the file that was saved is gone when its size is asked for."""
    data_dir = DataDir.open(OsDisk(), tmp_path / "member", ME)
    worker = data_dir.disk.start_worker("test")
    received = ReceivedSnapshots(data_dir, worker, Ledger())
    ledger = Ledger()
    ledger.commands = [b"a", b"b"]
    expected = b"".join(snapshot_file.encode(0xC1, snapshot_at(50), ledger.snapshot()))
    for index in (60, 70):
        file = b"".join(snapshot_file.encode(0xC1, snapshot_at(index), [b"[]"]))
        await received.receive(snapshot_at(index), 0, len(file), stream(file))

    saved = await Snapshots(data_dir, worker).save(snapshot_at(50), ledger)

    names = snapshot_file.names(data_dir.disk, data_dir.snapshots_path)
    assert [name.index for name in names] == [70, 60]
    assert saved == (len(expected), 60)
    worker.close()
    data_dir.close()
