"""Reading Kubernetes' protobuf bodies: `k8s\\0` envelopes in, the same objects as JSON dicts out.

Every Go program that uses a typed client sends these, kubectl and helm among them. An envelope is
the four bytes `k8s\\0` and a `runtime.Unknown` message: apiVersion and kind, then the object's own
message as bytes. The dict is what Go's JSON encoder would have made of the decoded struct.

Source: the protobuf encoding guide, and apimachinery's `runtime/serializer/protobuf`.
"""

import base64
import struct
from collections.abc import Callable
from typing import Any

import orjson

from podling.kube import protobuf_table, strict_json, timestamps
from podling.kube.meta import Object
from podling.kube.protobuf_table import Op

MAGIC = b"k8s\0"

_STRING, _MESSAGE, _MESSAGES, _STRINGS = Op.STRING, Op.MESSAGE, Op.MESSAGES, Op.STRINGS
_INTEGER, _BOOLEAN, _MAP, _INLINE = Op.INTEGER, Op.BOOLEAN, Op.MAP, Op.INLINE


class ProtobufError(ValueError):
    """Not an envelope, cut short, malformed, or of a kind that is not known here."""


def decode(body: bytes) -> Object:
    """The object in an envelope, with `apiVersion` and `kind`. Raises ProtobufError."""
    try:
        obj = _envelope(body)
    except ProtobufError:
        raise
    except (IndexError, struct.error):
        raise ProtobufError("the protobuf body is cut short") from None
    except RecursionError:
        raise ProtobufError("the protobuf body is nested too deeply") from None
    except (ValueError, OverflowError, OSError) as error:
        raise ProtobufError(f"the protobuf body is malformed: {error}") from None
    if len(body) > 2 * strict_json.MAX_DEPTH and strict_json.is_too_deep(obj):
        raise ProtobufError("the protobuf body is nested too deeply")
    return obj


def _envelope(body: bytes) -> Object:
    if not body.startswith(MAGIC):
        raise ProtobufError("the body does not begin with k8s\\0, as a protobuf object must")
    api_version = kind = encoding = media_type = ""
    raw = b""
    for number, value in _fields(body, len(MAGIC), len(body)):
        match number:
            case 1:
                names = {key: text.decode() for key, text in _fields(value, 0, len(value))}
                api_version, kind = names.get(1, ""), names.get(2, "")
            case 2:
                raw = value
            case 3:
                encoding = value.decode()
            case 4:
                media_type = value.decode()
    if encoding:
        raise ProtobufError(f"the object is encoded as {encoding!r}, which is not supported")
    if media_type == "application/json":
        return _json_object(raw)
    message = protobuf_table.message_of(api_version, kind)
    if message is None:
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')
    return {"apiVersion": api_version, "kind": kind} | _message(raw, 0, len(raw), message)


def _json_object(raw: bytes) -> Object:
    value = orjson.loads(raw)
    if not isinstance(value, dict):
        raise ProtobufError("the JSON in the envelope is not an object")
    return value


def _fields(data: bytes, at: int, end: int) -> list[tuple[int, bytes]]:
    """The length-delimited fields of a small message; others are passed over."""
    found = []
    while at < end:
        tag, at = _varint(data, at)
        stop = _skip(data, at, tag & 7)
        if stop > end:
            raise ProtobufError("a field reaches beyond its message")
        if tag & 7 == 2:
            length, start = _varint(data, at)
            found.append((tag >> 3, data[start : start + length]))
        at = stop
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number of seven bits a byte, least first; returns it and where it ends."""
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    value = byte & 127
    shift = 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + 1
        shift += 7
        if shift > 63:
            raise ProtobufError("a number is longer than 64 bits")


def _skip(data: bytes, at: int, wire: int) -> int:
    """Where a value of that wire type ends."""
    match wire:
        case 0:
            return _varint(data, at)[1]
        case 1:
            return at + 8
        case 2:
            length, at = _varint(data, at)
            return at + length
        case 5:
            return at + 4
    raise ProtobufError(f"wire type {wire} is not used by Kubernetes")


def _message(data: bytes, at: int, end: int, name: str) -> Object:  # noqa: C901 - one hot loop
    """A message's fields as Go's JSON encoder would write them."""
    plan = protobuf_table.plan(name)
    out: Object = {}
    while at < end:
        tag = data[at]
        at += 1
        if tag > 127:
            tag, at = _varint(data, at - 1)
        step = plan.get(tag)
        if step is None:
            at = _skip(data, at, tag & 7)
            continue
        op, key, type_name, keep_zero = step
        if op is _INTEGER or op is _BOOLEAN:
            value, at = _varint(data, at)
            if value or keep_zero:
                out[key] = bool(value) if op is _BOOLEAN else _signed(value)
            continue
        if op not in _DELIMITED:
            at = _number(data, at, out, step)
            continue
        length = data[at]
        at += 1
        if length > 127:
            length, at = _varint(data, at - 1)
        stop = at + length
        if stop > end:
            raise ProtobufError("a field reaches beyond its message")
        if op is _STRING:
            if length or keep_zero:
                out[key] = data[at:stop].decode()
        elif op is _MESSAGE:
            found = _any_message(data, at, stop, type_name)
            if found is not None:
                out[key] = found
        elif op is _STRINGS:
            out.setdefault(key, []).append(data[at:stop].decode())
        elif op is _MESSAGES:
            out.setdefault(key, []).append(_any_message(data, at, stop, type_name))
        else:
            _rare(data, at, stop, out, step)
        at = stop
    if at != end:
        raise ProtobufError("a field reaches beyond its message")
    return out


_DELIMITED = frozenset(
    op for op in Op if op not in (Op.INTEGER, Op.BOOLEAN, Op.INTEGERS, Op.DOUBLE)
)


def _rare(data: bytes, at: int, stop: int, out: Object, step: protobuf_table.Step) -> None:
    """The less frequent delimited fields."""
    op, key, type_name, keep_zero = step
    if op is _MAP:
        entry_key, entry_value = _entry(data, at, stop, type_name)
        out.setdefault(key, {})[entry_key] = entry_value
    elif op is _INLINE:
        out.update(_message(data, at, stop, type_name))
    elif op is Op.BYTES:
        if stop > at or keep_zero:
            out[key] = base64.b64encode(data[at:stop]).decode()
    else:
        values = out.setdefault(key, [])
        while at < stop:
            value, at = _varint(data, at)
            values.append(_of_type(value, type_name))


def _number(data: bytes, at: int, out: Object, step: protobuf_table.Step) -> int:
    """A double, or one item of a list of numbers; returns where it ends."""
    op, key, type_name, keep_zero = step
    if op is Op.DOUBLE:
        (double,) = struct.unpack_from("<d", data, at)
        if double or keep_zero:
            out[key] = double
        return at + 8
    value, at = _varint(data, at)
    out.setdefault(key, []).append(_of_type(value, type_name))
    return at


def _of_type(value: int, type_name: str) -> int | bool:
    return bool(value) if type_name == "bool" else _signed(value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _entry(data: bytes, at: int, end: int, type_name: str) -> tuple[str, Any]:
    """One pair of a map; a part that is missing is empty."""
    parts = dict(_fields(data, at, end))
    key = parts.get(1, b"").decode()
    value = parts.get(2, b"")
    if type_name == "string":
        return key, value.decode()
    if type_name == "bytes":
        return key, base64.b64encode(value).decode()
    return key, _any_message(value, 0, len(value), type_name)


def _any_message(data: bytes, at: int, end: int, name: str) -> Any:
    """A message; one of those with a JSON form of their own may be None, which is left out."""
    special = _SPECIAL.get(name)
    if special is None:
        return _message(data, at, end, name)
    return special(data[at:end], name)


# Messages that JSON knows in another form


def _seconds(data: bytes) -> tuple[int, int]:
    """(seconds, nanoseconds) of a Time."""
    numbers = {1: 0, 2: 0}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            numbers[tag >> 3], at = _varint(data, at)
        else:
            at = _skip(data, at, tag & 7)
    return _signed(numbers[1]), _signed(numbers[2])


def _time(data: bytes, _: str) -> str | None:
    """Go's zero time is null."""
    seconds, _nanos = _seconds(data)
    return timestamps.format_time(seconds) if data and seconds else None


def _micro_time(data: bytes, _: str) -> str | None:
    seconds, nanos = _seconds(data)
    if not seconds and not nanos:
        return None
    return timestamps.format_micro_time(seconds + nanos // 1000 / 1_000_000)


def _text(data: bytes, _: str) -> str:
    return b"".join(value for number, value in _fields(data, 0, len(data)) if number == 1).decode()


def _int_or_string(data: bytes, name: str) -> int | str:
    value = _message(data, 0, len(data), name)
    return str(value.get("strVal", "")) if value.get("type") else int(value.get("intVal", 0))


def _raw(data: bytes, _: str) -> Any:
    """JSON, or an envelope of its own, in field 1."""
    raw = b"".join(value for number, value in _fields(data, 0, len(data)) if number == 1)
    if not raw:
        return None
    return _envelope(raw) if raw.startswith(MAGIC) else orjson.loads(raw)


def _items(data: bytes, name: str) -> list[Any]:
    return list(_message(data, 0, len(data), name).get("items", ()))


def _schema_or(data: bytes, name: str) -> Any:
    """A schema where there is one, else the alternative: a truth value or a list."""
    parts = _message(data, 0, len(data), name)
    return next(
        (parts[key] for key in ("schema", "jSONSchemas", "property", "allows") if key in parts),
        None,
    )


_META = "k8s.io.apimachinery.pkg.apis.meta.v1"
_EXTENSIONS = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1"
_SPECIAL: dict[str, Callable[[bytes, str], Any]] = {
    f"{_META}.Time": _time,
    f"{_META}.MicroTime": _micro_time,
    f"{_META}.FieldsV1": _raw,
    f"{_META}.Verbs": _items,
    "k8s.io.apimachinery.pkg.api.resource.Quantity": _text,
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    "k8s.io.apimachinery.pkg.runtime.RawExtension": _raw,
    f"{_EXTENSIONS}.JSON": _raw,
    f"{_EXTENSIONS}.JSONSchemaPropsOrArray": _schema_or,
    f"{_EXTENSIONS}.JSONSchemaPropsOrBool": _schema_or,
    f"{_EXTENSIONS}.JSONSchemaPropsOrStringArray": _schema_or,
    "k8s.io.api.authentication.v1.AttestationValue": _items,
    "k8s.io.api.authentication.v1.ExtraValue": _items,
    "k8s.io.api.authorization.v1.ExtraValue": _items,
    "k8s.io.api.certificates.v1.ExtraValue": _items,
}
