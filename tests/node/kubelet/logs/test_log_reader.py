import asyncio
from pathlib import Path

from podling.node.kubelet.logs import log_reader
from podling.node.kubelet.logs.log_lines import LogOptions

HEAD = "2026-01-31T12:00:00.000000000Z stdout F "


def write(path: Path, *lines: str) -> None:
    with path.open("a", encoding="utf-8") as out:
        out.writelines(f"{HEAD}{line}\n" for line in lines)


async def whole(path: Path, options: LogOptions) -> bytes:
    pieces = log_reader.read(path, options, lambda: True, asyncio.Event())
    return b"".join([piece async for piece in pieces])


async def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert await whole(tmp_path / "0.log", LogOptions()) == b""


async def test_a_long_log_is_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    write(path, *(f"line {number} {'x' * 100}" for number in range(5000)))
    found = (await whole(path, LogOptions(tail_lines=1200))).splitlines()
    assert len(found) == 1200
    assert found[0].startswith(b"line 3800 ")
    assert found[-1].startswith(b"line 4999 ")
    assert len((await whole(path, LogOptions())).splitlines()) == 5000
    assert len((await whole(path, LogOptions(tail_lines=9000))).splitlines()) == 5000
    assert await whole(path, LogOptions(tail_lines=0)) == b""


async def test_a_rotated_log_is_followed_into_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    write(path, "one")
    pieces = log_reader.read(path, LogOptions(follow=True), lambda: False, asyncio.Event())
    async with asyncio.timeout(15):
        assert await anext(pieces) == b"one\n"
        path.rename(tmp_path / "0.log.1")
        write(path, "two")
        assert await anext(pieces) == b"two\n"
    await pieces.aclose()


async def test_a_half_written_line_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    write(path, "one")
    pieces = log_reader.read(path, LogOptions(follow=True), lambda: False, asyncio.Event())
    async with asyncio.timeout(15):
        assert await anext(pieces) == b"one\n"
        with path.open("a", encoding="utf-8") as out:
            out.write(f"{HEAD}tw")
            out.flush()
            await asyncio.sleep(0.01)
            out.write("o\n")
        assert await anext(pieces) == b"two\n"
    await pieces.aclose()


async def test_a_log_that_comes_later_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    pieces = log_reader.read(path, LogOptions(follow=True), lambda: False, asyncio.Event())
    first = asyncio.ensure_future(anext(pieces))  # noqa: TID251
    await asyncio.sleep(0)
    write(path, "one")
    async with asyncio.timeout(15):
        assert await first == b"one\n"
    await pieces.aclose()
