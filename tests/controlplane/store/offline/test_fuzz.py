"""`inspect` reads any bytes to their end, and what it cannot read it tells."""

import random
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podling.controlplane.replica.members.membership import configuration_of
from podling.controlplane.store.machine import commands
from podling.controlplane.store.offline import inspection_text
from podling.controlplane.store.offline.entry_text import describe_entry
from podling.controlplane.store.offline.inspection import inspect
from podling.controlplane.wal import records
from podling.controlplane.wal.records import RecordKind
from podling.simulate.disk import MemoryDisk
from tests.controlplane.store.offline.directories import (
    MEMBERS,
    WrittenMember,
    command_entry,
    configuration,
    put,
)

PATH = Path("/m1")
quick = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def written() -> dict[Path, bytes]:
    disk = MemoryDisk(random.Random(0))
    member = WrittenMember(PATH, disk, segment_bytes=300)
    for index in range(1, 7):
        member.write([command_entry(index, put(b"key-%d" % index))], index)
    member.save(6)
    member.write([configuration(7, configuration_of(MEMBERS))], 7)
    member.stop()
    directories = (PATH, PATH / "wal", PATH / "snapshots")
    paths = (path / name for path in directories for name in disk.list_files(path))
    return {path: disk.read(path) for path in paths if path not in directories}


FILES = written()


def inspected(changed: dict[Path, bytes]) -> str:
    disk = MemoryDisk(random.Random(0))
    for path, data in (FILES | changed).items():
        disk.make_directory(path.parent)
        disk.open(path).write(0, data, sync=True)
    found = inspect(disk, PATH)
    inspection_text.as_json(found, (0, 100))
    return "\n".join(inspection_text.lines(found, (0, 100)))


def test_what_is_whole_is_told_without_a_problem() -> None:
    assert inspected({}).endswith("problems: none")


@quick
@given(st.sampled_from(sorted(FILES)), st.binary(max_size=200))
def test_a_file_of_any_bytes_is_told(path: Path, data: bytes) -> None:
    inspected({path: data})


@quick
@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_changed_file_is_told(path: Path, data: st.DataObject) -> None:
    whole = FILES[path]
    at = data.draw(st.integers(0, len(whole)))
    put_in = data.draw(st.binary(max_size=20))
    inspected({path: whole[:at] + put_in + whole[at + data.draw(st.integers(0, 30)) :]})


@quick
@given(st.lists(st.tuples(st.sampled_from(RecordKind), st.binary(max_size=60)), max_size=5))
def test_whole_records_without_sense_are_told(several: list[tuple[RecordKind, bytes]]) -> None:
    data, checksum = b"", 0
    for kind, payload in several:
        record, checksum = records.encode(kind, payload, checksum)
        data += record
    for path in sorted(FILES):
        if path.suffix in (".wal", ".snap"):
            inspected({path: data})


@quick
@given(st.binary(max_size=60))
def test_an_entry_of_any_bytes_is_described_in_one_line(data: bytes) -> None:
    for command in (data, bytes([commands.VERSION]) + data):
        assert "\n" not in describe_entry(command_entry(1, command))
