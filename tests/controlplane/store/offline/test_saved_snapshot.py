import hashlib
from pathlib import Path

import pytest

from podling.controlplane.store.machine import snapshots
from podling.controlplane.store.offline import saved_snapshot
from podling.controlplane.store.offline.errors import OfflineError
from podling.controlplane.store.offline.saved_snapshot import SnapshotWriter
from podling.controlplane.wal.disk import OsDisk
from tests.controlplane.store.offline.directories import machine, put

DISK = OsDisk()


def state(*keys: bytes) -> bytes:
    store = machine()
    for index, key in enumerate(keys, start=1):
        store.apply(index, 1, put(key))
    return b"".join(store.snapshot())


def saved(path: Path, data: bytes) -> Path:
    writer = SnapshotWriter(DISK, path)
    stream = data + hashlib.sha256(data).digest()
    for start in range(0, len(stream), 50):
        writer.write(stream[start : start + 50])
    writer.finish()
    writer.abandon()
    return path


def test_what_is_saved_can_be_read(tmp_path: Path) -> None:
    data = state(b"a", b"b", b"a")
    path = saved(tmp_path / "saved", data)

    assert path.read_bytes() == data + hashlib.sha256(data).digest()
    assert path.stat().st_mode & 0o777 == 0o600
    status = saved_snapshot.status(DISK, path)
    assert (status.revision, status.total_key) == (4, 2)
    assert status.total_size == path.stat().st_size
    assert status.hash == int.from_bytes(hashlib.sha256(data).digest()[:4], "big")


def test_a_stream_that_is_not_whole_leaves_nothing(tmp_path: Path) -> None:
    writer = SnapshotWriter(DISK, tmp_path / "saved")
    writer.write(state(b"a") + bytes(32))
    with pytest.raises(OfflineError, match="is damaged: its SHA-256 is"):
        writer.finish()
    writer.abandon()

    assert list(tmp_path.iterdir()) == []


def test_an_empty_stream_leaves_nothing(tmp_path: Path) -> None:
    writer = SnapshotWriter(DISK, tmp_path / "saved")
    with pytest.raises(OfflineError, match="nothing in it"):
        writer.finish()
    writer.abandon()

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "saved").write_text("mine")

    with pytest.raises(OfflineError, match="exists; remove it, or save to another file"):
        SnapshotWriter(DISK, tmp_path / "saved")
    assert (tmp_path / "saved").read_text() == "mine"


def test_what_a_killed_save_left_is_no_hindrance(tmp_path: Path) -> None:
    SnapshotWriter(DISK, tmp_path / "saved").write(b"half of another")

    assert saved_snapshot.status(DISK, saved(tmp_path / "saved", state(b"a"))).total_key == 1


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 60])
def test_a_cut_file_is_refused(tmp_path: Path, size: int) -> None:
    path = saved(tmp_path / "saved", state(b"a"))
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(OfflineError, match=r"too short|is damaged"):
        saved_snapshot.status(DISK, path)


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path / "saved", state(b"a"))
    whole = path.read_bytes()
    for offset in range(len(whole)):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 4]) + whole[offset + 1 :])
        with pytest.raises(OfflineError, match="is damaged"):
            saved_snapshot.status(DISK, path)


@pytest.mark.parametrize("behind", [b"", bytes(32)], ids=["no hash", "a wrong hash"])
def test_without_the_check_a_state_alone_is_taken(tmp_path: Path, behind: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(state(b"a", b"b") + behind)
    contents = saved_snapshot.load(DISK, path, snapshots.read, check_hash=False)

    assert contents.store.revision == 3


def test_what_is_no_state_is_refused_in_any_case(tmp_path: Path) -> None:
    path = saved(tmp_path / "saved", b"an etcd database, perhaps" * 10)

    for check in (True, False):
        with pytest.raises(OfflineError, match="cannot be read: not a snapshot of a store"):
            saved_snapshot.load(DISK, path, snapshots.read, check_hash=check)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OfflineError, match="missing does not exist"):
        saved_snapshot.status(DISK, tmp_path / "missing")
