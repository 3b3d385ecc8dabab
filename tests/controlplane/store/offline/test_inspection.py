"""What `inspect` tells of directories that are whole, damaged, or in use."""

import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from podling.controlplane.raft.messages import SnapshotMeta
from podling.controlplane.store.offline import inspection_text
from podling.controlplane.store.offline.errors import OfflineError
from podling.controlplane.store.offline.inspection import Inspection, inspect
from podling.controlplane.wal import snapshot_file
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.errors import DataDirectoryError
from tests.controlplane.store.offline.directories import (
    ME,
    THREE,
    WrittenMember,
    command_entry,
    put,
    recovered,
    written,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return written(tmp_path / "m1")


def tree(path: Path) -> dict[str, tuple[str, int, int]]:
    """Every file with its content's hash, size and time of change."""
    return {
        str(file): (
            hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "",
            file.stat().st_mode,
            file.stat().st_mtime_ns,
        )
        for file in sorted(path.rglob("*"))
    }


def text(found: Inspection, wanted: tuple[int, int] | None = None) -> str:
    return "\n".join(inspection_text.lines(found, wanted))


def segments(path: Path) -> list[Path]:
    return sorted((path / "wal").iterdir())


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def test_everything_of_a_whole_directory_is_told(directory: Path) -> None:
    found = inspect(OsDisk(), directory)
    told = text(found)

    assert found.starts
    assert found.identity == ME
    assert "member a of cluster c1, format 2" in told
    assert "term 1, vote for a, 8 entries committed" in told
    assert "voters a (m1, http://127.0.0.1:2390), b (m2, http://127.0.0.1:2391)" in told
    assert f"log: {len(segments(directory))} segments, entries 1 to 9" in told
    assert [report.state and report.state.keys for report in found.snapshots] == [4, None]
    assert "entry 5 of term 1  whole: revision 5, 4 keys, 0 leases\n    voters a (m1" in told
    assert "whole: the members that the cluster began with" in told
    assert told.endswith("problems: none")


def test_the_segments_say_which_entries_they_have(directory: Path) -> None:
    reports = inspect(OsDisk(), directory).log.segments

    assert len(reports) > 1
    spans = [(each.first_index, each.last_index) for each in reports]
    assert spans[0][0] == 1
    assert spans[-1][1] == 9
    assert all(first[1] + 1 == second[0] for first, second in itertools.pairwise(spans))


def test_entries_are_decoded_and_chosen(directory: Path) -> None:
    found = inspect(OsDisk(), directory)
    lines = text(found, (1, 2)).split("entries:\n")[1].splitlines()

    assert lines[0] == "  1  term 1  NOOP  0 bytes  a leader's first entry"
    assert lines[1].endswith("put key-2 (100 bytes)")
    assert not lines[2].startswith("  3")


def test_json_has_the_same(directory: Path) -> None:
    found = json.loads(json.dumps(inspection_text.as_json(inspect(OsDisk(), directory), (9, 9))))

    assert (found["clusterID"], found["memberID"]) == ("c1", "a")
    assert found["hardState"] == {"term": 1, "vote": "a", "commit": 8}
    assert found["configuration"]["voters"] == ["a", "b", "c"]
    assert found["snapshots"][0]["state"]["compactRevision"] == 0
    assert [entry["text"] for entry in found["entries"]] == ["put key-9 (5 bytes)"]
    assert found["problems"] == []
    assert found["starts"] is True


def torn(path: Path) -> None:
    last = segments(path)[-1]
    end = len(last.read_bytes().rstrip(b"\0"))
    last.write_bytes(last.read_bytes()[: end - 20])


def damaged_in_the_middle(path: Path) -> None:
    flip(segments(path)[0], 150)


def segment_missing(path: Path) -> None:
    segments(path)[1].unlink()


def segment_empty(path: Path) -> None:
    segments(path)[1].write_bytes(b"")


def newest_snapshot_damaged(path: Path) -> None:
    flip(max((path / "snapshots").iterdir()), 120)


def all_snapshots_gone(path: Path) -> None:
    for file in (path / "snapshots").iterdir():
        file.unlink()
    segments(path)[0].unlink()


def log_gone(path: Path) -> None:
    for file in segments(path):
        file.unlink()


def log_and_snapshots_gone(path: Path) -> None:
    """What is left cannot be told from what a first start has just made."""
    log_gone(path)
    for file in (path / "snapshots").iterdir():
        file.unlink()


def identity_missing(path: Path) -> None:
    (path / "member.json").unlink()


def identity_newer(path: Path) -> None:
    (path / "member.json").write_text('{"format": 9, "cluster_id": "c1", "member_id": "a"}')


def identity_of_another(path: Path) -> None:
    (path / "member.json").write_text('{"format": 2, "cluster_id": "c1", "member_id": "b"}')


def record_of_a_newer_format(path: Path) -> None:
    flip(segments(path)[-1], 2)


def voided_by_a_snapshot(path: Path) -> None:
    newest = max((path / "snapshots").iterdir())
    state = list(snapshot_file.read_state(OsDisk(), newest, None))
    meta = SnapshotMeta(50, 3, THREE)
    data = b"".join(snapshot_file.encode(ME.cluster_id, meta, state))
    snapshot_file.path_of(path / "snapshots", meta).write_bytes(data)


HARMS: dict[Callable[[Path], None], tuple[bool, str]] = {
    torn: (True, "the last record is incomplete"),
    damaged_in_the_middle: (False, "the checksum does not match"),
    segment_missing: (False, "segment 2 before it is missing"),
    segment_empty: (False, "the segment does not begin with its record"),
    newest_snapshot_damaged: (True, "the checksum does not match"),
    all_snapshots_gone: (False, "but the log begins with"),
    log_gone: (False, "there is no log"),
    log_and_snapshots_gone: (True, "there is no log"),
    identity_missing: (False, "it is missing"),
    identity_newer: (False, "it was written by a newer version; upgrade this one"),
    identity_of_another: (False, "the log belongs to member a of cluster c1, not to member b"),
    voided_by_a_snapshot: (True, "it does not go on from the snapshot at entry 50"),
    record_of_a_newer_format: (False, "if a newer version wrote it, upgrade this one"),
}


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_what_is_wrong_is_told_and_nothing_is_changed(
    directory: Path, harm: Callable[[Path], None]
) -> None:
    starts, what = HARMS[harm]
    harm(directory)
    before = tree(directory)
    found = inspect(OsDisk(), directory)
    told = text(found, (0, 99))
    inspection_text.as_json(found, (0, 99))

    assert tree(directory) == before
    assert what in told
    assert "    to do: " in told
    assert found.starts == starts
    assert ("and no member would start" in told) == (not starts)


@pytest.mark.parametrize("harm", [h for h in HARMS if h is not identity_of_another])
def test_it_agrees_with_a_start(directory: Path, harm: Callable[[Path], None]) -> None:
    harm(directory)
    starts = inspect(OsDisk(), directory).starts
    try:
        recovered(directory)
        started = True
    except DataDirectoryError:
        started = False

    assert starts == started


def test_what_follows_damage_is_read_too(directory: Path) -> None:
    damaged_in_the_middle(directory)
    found = inspect(OsDisk(), directory)

    assert found.log.entries[-1].index == 9
    assert found.problems[0].path == segments(directory)[0]
    assert found.problems[0].offset is not None


def test_a_directory_in_use_is_read(tmp_path: Path) -> None:
    member = WrittenMember(tmp_path / "m1")
    member.write([command_entry(1, put(b"key"))], 1)
    before = tree(tmp_path)
    found = inspect(OsDisk(), tmp_path / "m1")
    member.write([command_entry(2, put(b"key"))], 2)
    member.stop()

    assert found.log.entries[-1].index == 1
    assert found.starts
    assert tree(tmp_path).keys() == before.keys()


def test_another_directory_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(OfflineError, match="is not the data directory of a member"):
            inspect(OsDisk(), path)
