"""Frames and records on the launcher's socket."""

from dataclasses import asdict

import pytest

from podling.node.runtime.launcher import protocol
from podling.node.runtime.launcher.protocol import Bind, ExecSpec, ProcessRecord, ProcessSpec

RECORD = ProcessRecord("c1", 7, 99, "boot", 5, exit_code=3, ran=True)


def through(values: dict[str, object]) -> dict[str, object]:
    frame = protocol.encode(values)
    size = protocol.body_size(frame[: protocol.HEADER_SIZE])
    assert len(frame) == protocol.HEADER_SIZE + size
    return protocol.decode(frame[protocol.HEADER_SIZE :])


def test_everything_survives_the_wire() -> None:
    spec = ProcessSpec(
        ("sh", "-c", "ü"), {"A": "1"}, "/", "log", (Bind("/a", "/b", True),), user=5, groups=(1,)
    )
    assert protocol.spec_from_json(through(asdict(spec))) == spec
    beside = ExecSpec(("true",), {}, "/", 1.5)
    assert protocol.exec_from_json(through(asdict(beside))) == beside
    assert protocol.record_from_json(through(RECORD.to_json())) == RECORD


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(protocol.ProtocolError):
        protocol.decode(body)


def test_a_frame_beyond_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(protocol.ProtocolError, match="longer than"):
        protocol.body_size(b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    "change", [{"pid": "7"}, {"unknown": 1}, {"ran": 1}, {"exit_code": None}, {"id": 3}]
)
def test_a_record_of_another_shape_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(protocol.ProtocolError, match="not a process record"):
        protocol.record_from_json({**RECORD.to_json(), **change})
