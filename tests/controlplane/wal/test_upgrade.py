"""A directory of the former format, as its own encoder wrote it, goes on in this one."""

import json
from pathlib import Path

import pytest

from podling.controlplane.raft.messages import Entry, EntryKind, HardState
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.raft.storage import StoredState
from podling.controlplane.wal import data_dir as data_dirs
from podling.controlplane.wal import records, snapshot_file
from podling.controlplane.wal.data_dir import DataDir
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.errors import DataDirectoryError
from podling.controlplane.wal.segments import Identity

FORMER = Path(__file__).with_name("format_1.json")
"""The files of a directory in hexadecimal; the zeros behind the log are left out."""
ME = Identity(0xC1, 0xA)
DISK = OsDisk()


@pytest.fixture
def former(tmp_path: Path) -> Path:
    for name, data in json.loads(FORMER.read_text()).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes.fromhex(data) + (bytes(700) if path.suffix == ".wal" else b""))
    return tmp_path


def versions(path: Path) -> list[int]:
    return [record.version for record in records.decode(path.read_bytes(), None)]


def test_log_and_snapshot_of_the_former_format_are_read_and_continued(former: Path) -> None:
    data_dir = DataDir.open(DISK, former, ME)
    recovered = data_dir.recover(StoredState())

    stored = recovered.stored
    assert stored.snapshot.index == 2
    assert stored.snapshot.configuration == Configuration(frozenset({0xA, 0xB, 0xC}))
    assert stored.hard_state == HardState(1, 0xA, 3)
    assert [entry.data for entry in stored.entries] == [b"", b"two", b"three", b"four"]
    assert recovered.snapshot_path is not None
    state = snapshot_file.read_state(DISK, recovered.snapshot_path, ME.cluster_id)
    assert b"".join(state) == b"state at 2"

    recovered.writer.open()()
    recovered.writer.append(HardState(2, 0xA, 4), [Entry(5, 2, EntryKind.COMMAND, b"five")])()
    recovered.writer.close()()
    assert data_dir.recover(StoredState()).stored.entries[-1].data == b"five"
    assert versions(sorted((former / "wal").iterdir())[-1]) == [1, 1, 2]
    data_dir.close()


def test_an_earlier_program_is_kept_out_from_then_on(
    former: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DataDir.open(DISK, former, ME).close()
    assert json.loads((former / "member.json").read_text())["format"] == 2

    monkeypatch.setattr(data_dirs, "FORMAT", 1)
    with pytest.raises(DataDirectoryError, match="has format 2, but this program knows 1"):
        DataDir.open(DISK, former, ME)


def test_another_members_directory_is_not_raised(former: Path) -> None:
    with pytest.raises(DataDirectoryError, match="belongs to member a"):
        DataDir.open(DISK, former, Identity(0xC1, 0xB))

    assert json.loads((former / "member.json").read_text())["format"] == 1
