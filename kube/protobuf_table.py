"""How each message of the generated table is read: tag -> step, made on first use.

The table says of each field: number -> [JSON name, `one`|`list`|`map`, type, flags]. The type is a
protobuf scalar or a message's name; of a map it is that of the values. The flags tell what Go's
JSON encoder does, which the wire cannot: `p` a pointer, so that present and zero differ; `o` left
out of JSON when empty; `i` the message's fields stand in the parent's object.
"""

import pkgutil
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

import orjson

_META = "k8s.io.apimachinery.pkg.apis.meta.v1"
_DELETE_OPTIONS = f"{_META}.DeleteOptions"

_VARINT, _FIXED64, _LENGTH = 0, 1, 2
_INTEGERS = ("int32", "int64", "bool")


class Op(IntEnum):
    """What to do with a field's bytes."""

    STRING = 1
    MESSAGE = 2
    MESSAGES = 3
    STRINGS = 4
    INTEGER = 5
    BOOLEAN = 6
    MAP = 7
    INLINE = 8
    BYTES = 9
    DOUBLE = 10
    INTEGERS = 11
    PACKED = 12


class Step(NamedTuple):
    """How one field is read."""

    op: Op
    name: str
    """In JSON."""
    type_name: str
    """A message, or the scalar a list or map holds."""
    keep_zero: bool
    """A scalar that is zero is written to JSON."""


Plan = dict[int, Step]
"""By tag: field number and wire type."""


@cache
def _table() -> dict[str, dict[str, Any]]:
    text = pkgutil.get_data("podling.kube.data", "protobuf.json")
    if text is None:
        raise FileNotFoundError("kube/data/protobuf.json is missing: run scripts/generate_kube.py")
    table: dict[str, dict[str, Any]] = orjson.loads(text)
    return table


def message_of(api_version: str, kind: str) -> str | None:
    """The message that a kind's bytes are. DeleteOptions come under any version."""
    if kind == "DeleteOptions":
        return _DELETE_OPTIONS
    name: str | None = _table()["kinds"].get(f"{api_version} {kind}")
    return name


@cache
def plan(message: str) -> Plan:
    """Raises KeyError for a message the table does not have."""
    steps: Plan = {}
    for number, (name, shape, type_name, flags) in _table()["messages"][message].items():
        op, wire = _op(shape, type_name, flags)
        keep_zero = "p" in flags or "o" not in flags
        steps[int(number) << 3 | wire] = Step(op, name, type_name, keep_zero)
        if op is Op.INTEGERS:
            packed = Step(Op.PACKED, name, type_name, keep_zero)
            steps[int(number) << 3 | _LENGTH] = packed
    return steps


def _op(shape: str, type_name: str, flags: str) -> tuple[Op, int]:
    if shape == "map":
        return Op.MAP, _LENGTH
    many = shape == "list"
    if type_name in _INTEGERS:
        if many:
            return Op.INTEGERS, _VARINT
        return (Op.BOOLEAN if type_name == "bool" else Op.INTEGER), _VARINT
    if type_name == "double":
        return Op.DOUBLE, _FIXED64
    if type_name == "string":
        return (Op.STRINGS if many else Op.STRING), _LENGTH
    if type_name == "bytes":
        return Op.BYTES, _LENGTH
    if "i" in flags:
        return Op.INLINE, _LENGTH
    return (Op.MESSAGES if many else Op.MESSAGE), _LENGTH
