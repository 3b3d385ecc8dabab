"""Files that are not what was written: half a record at the end is cut off, anything else is
refused with file and offset, and the others carry on."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from podling.controlplane.wal import records
from tests.faults.members import Member, Members, loopback_places
from tests.faults.rig import READY_SECONDS, Rig
from tests.waiting import until

pytestmark = pytest.mark.e2e


def last_segment(member: Member) -> Path:
    """The part of the log that is written to."""
    return max((member.data / "wal").iterdir())


def snapshots(member: Member) -> list[Path]:
    """The oldest first."""
    return sorted((member.data / "snapshots").glob("*.snap"))


def last_record(segment: Path) -> records.Record:
    """Behind it are the zeros of preallocation."""
    *_, last = records.decode(segment.read_bytes(), None)
    return last


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


@pytest.fixture
def members(folder: Path) -> Iterator[Members]:
    """With snapshots every few entries."""
    with Members(folder, loopback_places(3), flags={"--snapshot-count": "100"}) as made:
        yield made


def middle(file: Path) -> int:
    """A byte with others before and behind it."""
    return (last_record(file).end if file.suffix == ".wal" else file.stat().st_size) // 2


def refuses(member: Member, *files: Path) -> None:
    """Start it with one bit of each file flipped; it ends, says where, and changes nothing."""
    offsets = {str(each): middle(each) for each in files}
    for each in files:
        flip(each, offsets[str(each)])
    before = [each.read_bytes() for each in files]

    member.start()

    assert member.wait(READY_SECONDS) != 0
    told = dict(re.findall(r"(\S+) is damaged at byte (\d+)", member.said()))
    for path, offset in offsets.items():
        assert path in told, member.said()
        assert int(told[path]) <= offset
    assert [each.read_bytes() for each in files] == before
    for each in files:
        flip(each, offsets[str(each)])  # the copy that the text asks for


async def test_damage_in_the_middle_is_refused_and_the_others_carry_on(members: Members) -> None:
    async with Rig(members, 31) as rig:
        victim = members[0]
        await until(lambda: len(snapshots(victim)) >= 2, "two snapshots", members.said)
        victim.kill()

        refuses(victim, last_segment(victim))
        older, newest = snapshots(victim)[-2:]
        refuses(victim, older, newest)

        await rig.ready(members[1], members[2])
        await rig.progress(40)

        # With an older snapshot and the log after it, nothing is missing.
        flip(newest, middle(newest))
        victim.start()
        await rig.ready()
        # It may have made another of the same entry since.
        assert newest.with_name(f"{newest.name}.damaged").exists()


async def test_half_a_record_at_the_end_is_cut_off_and_said(members: Members) -> None:
    """As a crash of the machine in the middle of a write leaves it: nothing of the record was
    acknowledged, and some of its sectors never reached the disk."""
    async with Rig(members, 32) as rig:
        await rig.progress(40)
        victim = members[0]
        victim.kill()
        segment = last_segment(victim)
        last = last_record(segment)
        half = records.encode(records.RecordKind.BATCH, b"x" * 4000, last.checksum)[0][:700]
        with segment.open("r+b") as file:
            file.seek(last.end)
            file.write(half)
        await rig.progress(40)

        victim.start()

        await rig.ready(victim)
        cut = f"{segment}: the last record is incomplete, cut off at byte {last.end}"
        assert cut in victim.said()
