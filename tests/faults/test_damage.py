"""Files that are not what was written: half a record at the end is cut off, anything else is
refused with file and offset, and the others carry on."""

import re
from pathlib import Path

import pytest

from podling.controlplane.wal import records
from tests.faults.members import Member, Members
from tests.faults.rig import Rig

pytestmark = pytest.mark.e2e


def last_segment(member: Member) -> Path:
    """The part of the log that is written to."""
    return max((member.data / "wal").iterdir())


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


async def test_damage_in_the_middle_is_refused_and_the_others_carry_on(members: Members) -> None:
    async with Rig(members, 31) as rig:
        await rig.progress(40)
        victim = members[0]
        victim.kill()
        segment = last_segment(victim)
        middle = last_record(segment).end // 2
        flip(segment, middle)
        before = segment.read_bytes()

        victim.start()

        assert victim.wait(10) != 0
        told = re.search(rf"{re.escape(str(segment))} is damaged at byte (\d+)", victim.said())
        assert told is not None, victim.said()
        assert 0 < int(told[1]) <= middle
        assert segment.read_bytes() == before
        await rig.ready(members[1], members[2])
        await rig.progress(40)
        flip(segment, middle)  # the copy that the text asks for


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
