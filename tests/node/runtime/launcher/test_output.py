"""CRI log lines: every byte comes back, and every line says where it was cut."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from podling.node.runtime.launcher.output import PIECE, Capture, LineCutter, LogFile, timestamp

NOW = b"2026-01-31T12:00:00.000000000Z"


def text_of(log: bytes) -> bytes:
    out = b""
    for line in log.splitlines(keepends=True):
        now, stream, tag, text = line.split(b" ", 3)
        assert (now, stream) == (NOW, b"stdout")
        out += text if tag == b"F" else text.removesuffix(b"\n")
    return out


def test_lines_are_stamped_and_an_unfinished_one_waits() -> None:
    cutter = LineCutter("stdout")
    assert cutter.cut(b"one\ntw", NOW) == NOW + b" stdout F one\n"
    assert cutter.cut(b"o\n\n", NOW) == NOW + b" stdout F two\n" + NOW + b" stdout F \n"
    assert cutter.cut(b"end", NOW) == b""
    assert cutter.end(NOW) == NOW + b" stdout P end\n"
    assert cutter.end(NOW) == b""


def test_a_long_line_comes_in_pieces() -> None:
    cutter = LineCutter("stdout")
    log = cutter.cut(b"x" * (2 * PIECE + 5) + b"\n", NOW)
    assert [line.split(b" ", 3)[2] for line in log.splitlines()] == [b"P", b"P", b"F"]
    assert text_of(log) == b"x" * (2 * PIECE + 5) + b"\n"


@given(st.lists(st.one_of(st.text("ab\n", max_size=9), st.just("c" * (PIECE - 3))), max_size=12))
def test_every_byte_comes_back(parts: list[str]) -> None:
    cutter = LineCutter("stdout")
    log = b"".join(cutter.cut(part.encode(), NOW) for part in parts) + cutter.end(NOW)
    assert text_of(log) == "".join(parts).encode()
    assert all(len(line) <= PIECE + len(NOW) + 20 for line in log.splitlines())


def test_stamps_have_nanoseconds() -> None:
    assert timestamp(0.5) == b"1970-01-01T00:00:00.500000000Z"
    assert timestamp(1_769_860_800.25) == b"2026-01-31T12:00:00.250000000Z"


def test_a_rotated_log_keeps_only_so_many_files(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "0.log"), lambda: 0.0, max_bytes=100, files=3)
    out, err = file.stream("stdout"), file.stream("stderr")
    for number in range(9):
        out.write(b"%d" % number * 40 + b"\n")
    out.end()
    err.end()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.log", "0.log.1", "0.log.2"]
    assert b"88" in (tmp_path / "0.log").read_bytes()
    assert b"77" in (tmp_path / "0.log.1").read_bytes()
    out.write(b"too late\n")


def test_a_capture_keeps_the_beginning() -> None:
    capture = Capture(5)
    for part in (b"abc", b"def", b"ghi"):
        capture.write(part)
    assert capture.content() == b"abcde"
