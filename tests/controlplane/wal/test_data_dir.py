import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from podling.controlplane.raft.messages import Entry, EntryKind, HardState, SnapshotMeta
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.storage import first_start
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import RESTORED_INDEX, DataDir, Recovered, needs_log
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.errors import Damaged, DataDirectoryError
from podling.controlplane.wal.segments import Identity
from podling.controlplane.wal.snapshot_file import SnapshotPart

ME = Identity(0xC1, 0xA)
DISK = OsDisk()
FIRST = first_start(Configuration(frozenset({1, 2, 3})))


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[DataDir]:
    opened = DataDir.open(DISK, tmp_path / "data", ME)
    yield opened
    opened.close()


def write_entries(
    recovered: Recovered, first: int, last: int, term: int = 1, committed: int | None = None
) -> None:
    recovered.writer.open()()
    batch = [Entry(index, term, EntryKind.COMMAND, b"x") for index in range(first, last + 1)]
    commit = last if committed is None else committed
    recovered.writer.append(HardState(term, 1, commit), batch)()
    recovered.writer.close()()


def write_snapshot(
    data_dir: DataDir, index: int, *state: bytes, cluster: int = 0xC1, term: int = 1
) -> Path:
    snapshot = SnapshotMeta(index, term, Configuration(frozenset({1, 2, 3})))
    part = SnapshotPart(DISK, data_dir.snapshots_path, snapshot)
    for data in snapshot_file.encode(cluster, snapshot, state):
        part.write(data)
    part.finish(cluster)
    return snapshot_file.path_of(data_dir.snapshots_path, snapshot)


def test_a_first_start_finds_nothing(data_dir: DataDir) -> None:
    recovered = data_dir.recover(FIRST)

    assert recovered.stored == FIRST
    assert recovered.snapshot_path is None


def test_log_and_snapshot_come_back(data_dir: DataDir) -> None:
    write_entries(data_dir.recover(FIRST), 1, 9)
    path = write_snapshot(data_dir, 5, b"one", b"two")
    recovered = data_dir.recover(FIRST)

    assert recovered.snapshot_path == path
    assert recovered.stored.snapshot.index == 5
    assert [entry.index for entry in recovered.stored.entries] == list(range(1, 10))
    assert list(snapshot_file.read_state(DISK, path, 0xC1)) == [b"one", b"two"]


def test_a_second_process_is_kept_out(data_dir: DataDir) -> None:
    with pytest.raises(DataDirectoryError, match="in use by another process"):
        DataDir.open(DISK, data_dir.path, ME)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirectoryError, match=r"directory .*/data cannot be made: Not a dir"):
        DataDir.open(DISK, tmp_path / "file" / "data", ME)


def test_another_member_is_kept_out(tmp_path: Path) -> None:
    DataDir.open(DISK, tmp_path, ME).close()

    with pytest.raises(DataDirectoryError, match="belongs to member a of cluster c1, but this is"):
        DataDir.open(DISK, tmp_path, Identity(0xC1, 0xB))
    DataDir.open(DISK, tmp_path, ME).close()


def test_a_newer_format_is_kept(tmp_path: Path) -> None:
    (tmp_path / "member.json").write_text('{"format": 9, "cluster_id": "c1", "member_id": "a"}')

    with pytest.raises(DataDirectoryError, match="written by a newer version"):
        DataDir.open(DISK, tmp_path, ME)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "",
        '{"format": Infinity}',
        '{"format": 2, "cluster_id": "-1", "member_id": "a"}',
        '{"format": 2, "cluster_id": "c1", "member_id": "10000000000000000"}',
        "[" * 100_000,
    ],
)
def test_an_unreadable_identity_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "member.json").write_text(text)

    with pytest.raises(DataDirectoryError, match=r"member\.json cannot be read"):
        DataDir.open(DISK, tmp_path, ME)


def test_a_log_without_an_identity_is_refused(data_dir: DataDir) -> None:
    write_entries(data_dir.recover(FIRST), 1, 2)
    data_dir.close()
    (data_dir.path / "member.json").unlink()

    with pytest.raises(DataDirectoryError, match=r"member\.json is missing"):
        DataDir.open(DISK, data_dir.path, ME)
    data_dir._lock = DISK.lock(data_dir.path / "lock")


def test_files_are_for_their_owner_only(data_dir: DataDir) -> None:
    write_entries(data_dir.recover(FIRST), 1, 2)
    write_snapshot(data_dir, 2, b"secret")

    files = [path for path in data_dir.path.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_snapshot_that_was_not_finished_leaves_nothing(data_dir: DataDir) -> None:
    part = SnapshotPart(DISK, data_dir.snapshots_path, SnapshotMeta(5, 1))
    part.write(b"half")
    recovered = data_dir.recover(FIRST)

    assert recovered.snapshot_path is None
    assert list(data_dir.snapshots_path.iterdir()) == []
    part._file.close()  # type: ignore[union-attr]


def test_a_damaged_snapshot_is_passed_over_for_an_older_one(
    data_dir: DataDir, caplog: pytest.LogCaptureFixture
) -> None:
    write_entries(data_dir.recover(FIRST), 1, 9)
    older = write_snapshot(data_dir, 4, b"older")
    newer = write_snapshot(data_dir, 8, b"newer" * 100)
    data = bytearray(newer.read_bytes())
    data[-50] ^= 1
    newer.write_bytes(data)

    assert data_dir.recover(FIRST).snapshot_path == older
    assert f"{newer} is damaged at byte" in caplog.text
    latest = write_snapshot(data_dir, 9, b"latest")
    assert data_dir.remove_old_snapshots() == 4
    found = data_dir.disk.list_files(data_dir.snapshots_path)
    assert found == [older.name, newer.name + ".damaged", latest.name]


def test_the_only_snapshot_being_damaged_is_an_error(data_dir: DataDir) -> None:
    path = write_snapshot(data_dir, 4, b"state")
    path.write_bytes(path.read_bytes()[:-3])

    with pytest.raises(Damaged, match="ends in the middle"):
        data_dir.recover(FIRST)


def test_a_damaged_snapshot_without_which_too_much_is_missing_stays_where_it_is(
    data_dir: DataDir,
) -> None:
    write_entries(data_dir.recover(FIRST), 9, 12)
    write_snapshot(data_dir, 0, b"the beginning")
    newer = write_snapshot(data_dir, 8, b"state")
    intact = newer.read_bytes()
    newer.write_bytes(intact[:-1])

    with pytest.raises(DataDirectoryError, match=f"is incomplete.*; {newer} cannot be read"):
        data_dir.recover(FIRST)
    newer.write_bytes(intact)

    assert data_dir.recover(FIRST).snapshot_path == newer


def test_a_snapshot_of_several_members_without_a_log_is_not_begun_from(data_dir: DataDir) -> None:
    """A member had one, and may have voted, and acknowledged what came later."""
    write_snapshot(data_dir, 2, b"state")

    with pytest.raises(DataDirectoryError, match="ends with entry 2, but there is no log"):
        data_dir.recover(FIRST)


def test_a_directory_that_was_made_from_a_saved_snapshot_has_no_log_yet(data_dir: DataDir) -> None:
    path = write_snapshot(data_dir, RESTORED_INDEX, b"state")

    assert data_dir.recover(FIRST).snapshot_path == path


def test_who_is_alone_goes_on_without_a_log() -> None:
    assert not needs_log(SnapshotMeta(8, 1, Configuration(frozenset({1}))))


def indexes(recovered: Recovered) -> list[int]:
    return [entry.index for entry in recovered.stored.entries]


@pytest.mark.parametrize("stale", [3, 9], ids=["a shorter log", "other entries"])
def test_a_snapshot_that_was_received_voids_the_log_also_if_nothing_said_so_in_time(
    data_dir: DataDir, caplog: pytest.LogCaptureFixture, stale: int
) -> None:
    write_entries(data_dir.recover(FIRST), 1, stale, committed=1)
    write_snapshot(data_dir, 5, b"state", term=2)
    recovered = data_dir.recover(FIRST)
    assert indexes(recovered) == []
    assert recovered.stored.hard_state == HardState(2, 0, 5)
    assert "the log is void" in caplog.text
    write_entries(recovered, 6, 7, term=2)

    again = data_dir.recover(FIRST)
    assert again.stored.snapshot.index == 5
    assert indexes(again) == [6, 7]


def test_a_log_that_lacks_what_was_committed_is_an_error(data_dir: DataDir) -> None:
    recovered = data_dir.recover(FIRST)
    write_entries(recovered, 1, 3)
    older, newer = (write_snapshot(data_dir, index, b"state") for index in (2, 50))
    recovered = data_dir.recover(FIRST)
    recovered.writer.open()()
    recovered.writer.close()()
    newer.write_bytes(newer.read_bytes()[:-3])

    with pytest.raises(DataDirectoryError, match="the log with 2, but 50 were committed"):
        data_dir.recover(FIRST)
    assert older.exists()


def test_a_log_that_does_not_reach_back_to_the_snapshot_is_an_error(data_dir: DataDir) -> None:
    write_entries(data_dir.recover(FIRST), 7, 9)
    write_snapshot(data_dir, 4, b"state")

    with pytest.raises(DataDirectoryError, match="ends with entry 4, but the log begins with 7"):
        data_dir.recover(FIRST)


def test_a_snapshot_of_another_cluster_is_refused(data_dir: DataDir) -> None:
    write_snapshot(data_dir, 4, b"state", cluster=0xBAD)

    with pytest.raises(Damaged, match="belongs to cluster bad, not to c1"):
        data_dir.recover(FIRST)


def test_a_received_file_must_be_what_was_announced(data_dir: DataDir) -> None:
    path = write_snapshot(data_dir, 4, b"state")
    part = SnapshotPart(DISK, data_dir.snapshots_path, SnapshotMeta(5, 1))
    part.write(path.read_bytes())

    with pytest.raises(Damaged, match="not what was announced"):
        part.finish(0xC1)
    part.abandon()
    assert list(data_dir.snapshots_path.iterdir()) == [path]


def test_two_snapshots_are_kept(data_dir: DataDir) -> None:
    for index in (2, 4, 6, 8):
        write_snapshot(data_dir, index, b"state")

    assert data_dir.remove_old_snapshots() == 6
    found = snapshot_file.names(DISK, data_dir.snapshots_path)
    assert [name.index for name in found] == [8, 6]
