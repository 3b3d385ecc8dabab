"""Watch events as lines of JSON, both ways, without I/O.

A watch is answered with one document a line (Kubernetes API concepts, "Efficient detection of
changes"):

    {"type":"ADDED","object":{"apiVersion":"v1","kind":"Pod","metadata":{...},...}}

`type` is ADDED, MODIFIED, DELETED, BOOKMARK (the object carries only a resourceVersion up to which
everything has been told) or ERROR (the object is a Status). The object's bytes are kept as they
came, because caches hold encoded bytes.
"""

from typing import Final, NamedTuple

import orjson

from podling.kube.meta import Object

ADDED: Final = "ADDED"
MODIFIED: Final = "MODIFIED"
DELETED: Final = "DELETED"
BOOKMARK: Final = "BOOKMARK"
ERROR: Final = "ERROR"

TYPES: Final = frozenset({ADDED, MODIFIED, DELETED, BOOKMARK, ERROR})

MAX_FRAME: Final = 16 << 20
"""Bytes. An object is at most 3 MiB on its way in, so a longer line is not a watch event."""

_HEAD: Final = b'{"type":"'
_MIDDLE: Final = b'","object":'


class WatchEvent(NamedTuple):
    """One change, one bookmark, or one error."""

    type: str
    object: Object
    """Decoded: the new state, or for DELETED the last one with the revision of the deletion."""
    encoded: bytes
    """The same object in JSON."""


class FrameError(ValueError):
    """These bytes are not watch events."""


def encode(type_: str, encoded_object: bytes) -> bytes:
    """The line, with its end, that tells watchers of `encoded_object` (JSON)."""
    return b'{"type":"%s","object":%s}\n' % (type_.encode(), encoded_object)


class FrameDecoder:
    """Takes pieces of a watch's body, cut anywhere, and gives the events that are complete."""

    def __init__(self) -> None:
        self._partial = bytearray()

    @property
    def partial(self) -> bool:
        """Whether the body so far ends in the middle of an event."""
        return bool(self._partial.strip())

    def feed(self, piece: bytes) -> list[WatchEvent]:
        """The events completed by `piece`. Raises FrameError."""
        end = piece.rfind(b"\n")
        if end < 0:
            self._keep(piece)
            return []
        lines = (bytes(self._partial) + piece[:end]).split(b"\n")
        self._partial.clear()
        self._keep(piece[end + 1 :])
        return [_decode(line) for line in lines if line.strip()]

    def _keep(self, piece: bytes) -> None:
        if len(self._partial) + len(piece) > MAX_FRAME:
            raise FrameError(f"watch event of more than {MAX_FRAME} bytes")
        self._partial += piece


def _decode(line: bytes) -> WatchEvent:
    return _decode_usual(line) or _decode_any(line)


def _decode_usual(line: bytes) -> WatchEvent | None:
    """The layout that API servers write; None for any other, however valid."""
    middle = line.find(_MIDDLE, len(_HEAD), len(_HEAD) + 24)
    if middle < 0 or not line.startswith(_HEAD):
        return None
    encoded = line[middle + len(_MIDDLE) : line.rfind(b"}")]
    try:
        return _checked(line[len(_HEAD) : middle].decode(), orjson.loads(encoded), encoded)
    except ValueError:
        return None


def _decode_any(line: bytes) -> WatchEvent:
    try:
        frame = orjson.loads(line)
        return _checked(frame["type"], frame["object"], orjson.dumps(frame["object"]))
    except (ValueError, KeyError, TypeError) as error:
        raise FrameError(f"not a watch event: {line[:200]!r}: {error}") from error


def _checked(type_: str, obj: Object, encoded: bytes) -> WatchEvent:
    if type_ not in TYPES:
        raise ValueError(f"unknown type {type_!r}")
    if not isinstance(obj, dict):
        raise ValueError("object is not an object")
    return WatchEvent(type_, obj, encoded)
