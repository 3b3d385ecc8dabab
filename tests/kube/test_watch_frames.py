import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.kube import watch_frames
from podling.kube.watch_frames import FrameDecoder, FrameError

POD = {"kind": "Pod", "metadata": {"name": "a", "resourceVersion": "7"}}


def line(type_: str, obj: object) -> bytes:
    return watch_frames.encode(type_, orjson.dumps(obj))


def test_an_event_keeps_the_bytes_of_its_object_as_they_came() -> None:
    encoded = b'{ "kind": "Pod", "metadata": {"name":"a"} }'
    (event,) = FrameDecoder().feed(watch_frames.encode("ADDED", encoded))
    assert event.type == "ADDED"
    assert event.encoded == encoded
    assert event.object == {"kind": "Pod", "metadata": {"name": "a"}}


@pytest.mark.parametrize(
    "text",
    [
        b'{"object":{"kind":"Pod"},"type":"DELETED"}\n',
        b'{ "type": "DELETED", "object": {"kind": "Pod"} }\n',
        b'{"type":"DELETED","object":{"kind":"Pod"},"more":{"a":1}}\r\n',
    ],
)
def test_any_layout_of_the_line_is_understood(text: bytes) -> None:
    (event,) = FrameDecoder().feed(text)
    assert (event.type, event.object) == ("DELETED", {"kind": "Pod"})
    assert orjson.loads(event.encoded) == {"kind": "Pod"}


@given(st.lists(st.sampled_from(["ADDED", "MODIFIED", "BOOKMARK"])), st.data())
def test_events_do_not_depend_on_where_the_stream_is_cut(
    types: list[str], data: st.DataObject
) -> None:
    body = b"".join(line(type_, {"n": number, "s": "ä\n"}) for number, type_ in enumerate(types))
    decoder = FrameDecoder()
    seen = []
    while body:
        size = data.draw(st.integers(1, len(body)))
        seen += decoder.feed(body[:size])
        body = body[size:]
    assert [(event.type, event.object["n"]) for event in seen] == [
        (type_, number) for number, type_ in enumerate(types)
    ]
    assert not decoder.partial


def test_a_stream_that_ends_within_a_line_is_known_to_be_cut() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(line("ADDED", POD) + b'{"type":"MOD')
    assert decoder.partial


def test_blank_lines_mean_nothing() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"\n \r\n") == []
    assert not decoder.partial


@pytest.mark.parametrize(
    "text",
    [
        b"<html>\n",
        b'{"type":"ADDED"}\n',
        b'{"type":"CHANGED","object":{}}\n',
        b'{"type":"ADDED","object":[]}\n',
        b"[]\n",
    ],
)
def test_what_is_no_event_is_refused_with_its_text(text: bytes) -> None:
    with pytest.raises(FrameError, match="not a watch event"):
        FrameDecoder().feed(text)


def test_a_line_that_never_ends_is_refused() -> None:
    decoder = FrameDecoder()
    piece = b"x" * (1 << 20)
    with pytest.raises(FrameError, match="more than"):
        for _ in range(20):
            decoder.feed(piece)
