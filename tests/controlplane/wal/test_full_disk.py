"""A real file system that fills up: a tmpfs of a few megabytes, which only root may mount."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from podling.controlplane.raft.messages import Entry, EntryKind, HardState, SnapshotMeta
from podling.controlplane.raft.storage import StoredState
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.data_dir import DataDir
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.segments import Identity
from podling.controlplane.wal.snapshot_file import SnapshotPart

ME = Identity(0xC1, 0xA)
DISK = OsDisk()

#: Gives the file system another size, such as "8m".
Resize = Callable[[str], None]


@pytest.fixture
def resize(tmp_path: Path) -> Iterator[Resize]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a tmpfs")
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "podling-test", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        yield (
            lambda size: (
                subprocess.run(["mount", "-o", f"remount,size={size}", str(tmp_path)], check=True)
                and None
            )
        )
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def entry(index: int) -> Entry:
    return Entry(index, 1, EntryKind.COMMAND, b"%d." % index * 10_000)


def write_until_full(path: Path, first: int) -> int:
    """Append entry by entry; return the last that was acknowledged."""
    data_dir = DataDir.open(DISK, path, ME)
    try:
        writer = data_dir.recover(StoredState()).writer
        writer.open()()
        index = first
        with pytest.raises(OSError, match=r"No space left on device: '.*\.wal'") as caught:
            while True:
                writer.append(HardState(1, 1, index - 1), [entry(index)])()
                index += 1
        assert caught.value.errno == errno.ENOSPC
        writer.close()()
        return index - 1
    finally:
        data_dir.close()


def found(path: Path) -> list[Entry]:
    data_dir = DataDir.open(DISK, path, ME)
    try:
        return list(data_dir.recover(StoredState()).stored.entries)
    finally:
        data_dir.close()


def test_what_was_acknowledged_is_there_and_writing_goes_on_when_there_is_room(
    tmp_path: Path, resize: Resize
) -> None:
    path = tmp_path / "member"
    last = write_until_full(path, 1)
    assert last > 50
    for _ in range(2):
        # Started again and again on the full disk, it loses nothing.
        assert found(path) == [entry(index) for index in range(1, last + 1)]
        last = write_until_full(path, last + 1)

    resize("6m")
    more = write_until_full(path, last + 1)
    assert more > last
    assert found(path) == [entry(index) for index in range(1, more + 1)]


def test_a_snapshot_that_has_no_room_leaves_nothing_after_a_start(
    tmp_path: Path, resize: Resize
) -> None:
    path = tmp_path / "member"
    data_dir = DataDir.open(DISK, path, ME)
    writer = data_dir.recover(StoredState()).writer
    writer.open()()
    writer.append(HardState(1, 1, 1), [entry(1)])()
    meta = SnapshotMeta(1, 1)
    part = SnapshotPart(DISK, data_dir.snapshots_path, meta)
    pieces = snapshot_file.encode(ME.cluster_id, meta, [b"state" * 100_000] * 20)
    with pytest.raises(OSError, match="No space left on device"):
        for piece in pieces:
            part.write(piece)
    # The process ends here, with the part of the file still there.
    assert part._file is not None
    part._file.close()
    writer.close()()
    data_dir.close()

    assert found(path) == [entry(1)]
    assert list((path / "snapshots").iterdir()) == []
