"""Hypothesis strategies of protobuf messages that are valid, and filled as no client would."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

MAX_DEPTH = 3

#: Small ones meet ids and revisions that exist; the others are the ends of ranges.
_NUMBERS = [0, 1, 2, 3, 7, 100, 2**31 - 1, 2**31, 2**63 - 1]
_BYTES = [b"", b"\0", b"a", b"b", b"a\0", b"a/", b"\xff" * 4]
_TEXTS = ["", "a", "root", "http://127.0.0.1:1", "http://127.0.0.1:99999", "\0", "ä" * 300]

_SIGNED_64 = st.sampled_from([*_NUMBERS, -1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
_UNSIGNED_64 = st.sampled_from([*_NUMBERS, 2**64 - 1]) | st.integers(0, 2**64 - 1)
_UNSIGNED_32 = st.integers(0, 2**32 - 1)
_ENUM = st.integers(-1, 6) | st.sampled_from([2**31 - 1, -(2**31)])

_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_BYTES: st.sampled_from(_BYTES) | st.binary(max_size=20),
    FieldDescriptor.TYPE_STRING: st.sampled_from(_TEXTS)
    | st.text(st.characters(codec="utf-8"), max_size=10),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT64: _SIGNED_64,
    FieldDescriptor.TYPE_UINT64: _UNSIGNED_64,
    FieldDescriptor.TYPE_UINT32: _UNSIGNED_32,
    FieldDescriptor.TYPE_ENUM: _ENUM,
}


def messages_of(kind: type[Message], depth: int = 0) -> st.SearchStrategy[Any]:
    """Each field is set or not; nested messages end at `MAX_DEPTH`."""
    fields = {}
    for field in kind.DESCRIPTOR.fields:
        if field.message_type is None:
            value = _SCALARS[field.type]
        elif depth < MAX_DEPTH:
            value = messages_of(field.message_type._concrete_class, depth + 1)
        else:
            continue
        fields[field.name] = st.lists(value, max_size=3) if field.is_repeated else value
    return st.fixed_dictionaries({}, optional=fields).map(lambda chosen: kind(**chosen))
