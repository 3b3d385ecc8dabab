"""JSON Patch, RFC 6902: add, remove, replace, move, copy, test, in order, all or nothing.

    [{"op": "test", "path": "/metadata/labels/app~1v", "value": "1"},
     {"op": "add", "path": "/spec/containers/-", "value": {"name": "c"}}]

Paths are JSON Pointers (RFC 6901): `~1` stands for a slash, `~0` for a tilde, `-` for the place
after a list's last item.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from podling.kube.meta import Object

MAX_OPERATIONS = 10_000
"""As many as kube-apiserver takes."""
MAX_COPIED_BYTES = 3 * 1024 * 1024
"""All `copy` operations of a patch together: a few of them could otherwise fill any memory."""
_MAX_DEPTH = 128


class JsonPatchError(ValueError):
    """The patch is malformed, or does not fit the document."""


class JsonPatchTestFailed(JsonPatchError):
    """A `test` operation found something else."""


def apply(doc: Mapping[str, Any], patch: Any) -> Object:
    """A new document; the old one is not changed, and unchanged parts are shared with it.

    Raises JsonPatchError; the text names the operation.
    """
    if not isinstance(patch, list):
        raise JsonPatchError("a JSON patch must be a list of operations")
    if len(patch) > MAX_OPERATIONS:
        raise JsonPatchError(
            f"the allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}"
        )
    result: Any = dict(doc)
    copied = 0
    for index, operation in enumerate(patch):
        try:
            result, size = _step(result, operation)
        except JsonPatchError as error:
            raise type(error)(f"operation {index}: {error}") from None
        except RecursionError:
            raise JsonPatchError(f"operation {index}: nested too deeply") from None
        copied += size
        if copied > MAX_COPIED_BYTES:
            raise JsonPatchError(f"operation {index}: copies more than {MAX_COPIED_BYTES} bytes")
    if not isinstance(result, dict):
        raise JsonPatchError("the patch must leave a JSON object")
    return result


def _step(doc: Any, operation: Any) -> tuple[Any, int]:
    """Carry out one operation; returns the document and how many bytes were copied."""
    if not isinstance(operation, dict):
        raise JsonPatchError("must be an object")
    path = _pointer(operation, "path")
    match operation.get("op"):
        case "add":
            return _add(doc, path, _value(operation)), 0
        case "remove":
            return _remove(doc, path), 0
        case "replace":
            value = _value(operation)
            _get(doc, path)
            return (_edit(doc, path, lambda at, key: _put(at, key, value)) if path else value), 0
        case "move":
            source = _pointer(operation, "from")
            if path[: len(source)] == source and len(path) > len(source):
                raise JsonPatchError(f"cannot move {_show(source)} into itself")
            value = _get(doc, source)
            return _add(_remove(doc, source) if source else doc, path, value), 0
        case "copy":
            value = _get(doc, _pointer(operation, "from"))
            return _add(doc, path, value), _size(value)
        case "test":
            _test(doc, path, operation.get("value"))
            return doc, 0
    raise JsonPatchError(f"unknown op {operation.get('op')!r}")


def _pointer(operation: Mapping[str, Any], name: str) -> list[str]:
    """The decoded steps of a JSON Pointer; none for the whole document."""
    text = operation.get(name)
    if not isinstance(text, str):
        raise JsonPatchError(f"{name!r} is missing or not a text")
    if text and not text.startswith("/"):
        raise JsonPatchError(f"{name!r} must be empty or begin with a slash: {text!r}")
    steps = text.split("/")[1:]
    if len(steps) > _MAX_DEPTH:
        raise JsonPatchError(f"{name!r} has more than {_MAX_DEPTH} steps")
    return [step.replace("~1", "/").replace("~0", "~") for step in steps]


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise JsonPatchError("'value' is missing")
    return operation["value"]


def _get(doc: Any, path: Sequence[str]) -> Any:
    for step in path:
        doc = doc[_key(doc, step, path)]
    return doc


def _key(at: Any, step: str, path: Sequence[str]) -> Any:
    """What the container `at` calls the existing place that `step` names."""
    if isinstance(at, dict) and step in at:
        return step
    if isinstance(at, list) and step != "-":
        index = _index(step)
        if index < len(at):
            return index
    raise JsonPatchError(f"there is nothing at {_show(path)}")


def _index(step: str) -> int:
    """RFC 6901: digits without a leading zero."""
    plain = step.isascii() and step.isdigit() and len(step) < 10
    if not plain or (step[0] == "0" and len(step) > 1):
        raise JsonPatchError(f"{step!r} is not a list index")
    return int(step)


def _edit(at: Any, path: Sequence[str], change: Callable[[Any, str], Any]) -> Any:
    """A copy of `at` in which the container of the path's last step has been changed."""
    if len(path) == 1:
        return change(at, path[0])
    key = _key(at, path[0], path)
    copy = at.copy()
    copy[key] = _edit(at[key], path[1:], change)
    return copy


def _add(doc: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value

    def change(at: Any, step: str) -> Any:
        if isinstance(at, dict):
            return {**at, step: value}
        if not isinstance(at, list):
            raise JsonPatchError(f"{_show(path[:-1])} is neither an object nor a list")
        index = len(at) if step == "-" else _index(step)
        if index > len(at):
            raise JsonPatchError(f"{_show(path)} is beyond the end of the list")
        return [*at[:index], value, *at[index:]]

    return _edit(doc, path, change)


def _put(at: Any, step: str, value: Any) -> Any:
    copy = at.copy()
    copy[_key(at, step, [step])] = value
    return copy


def _remove(doc: Any, path: Sequence[str]) -> Any:
    if not path:
        raise JsonPatchError("the whole document cannot be removed")

    def change(at: Any, step: str) -> Any:
        copy = at.copy() if isinstance(at, dict | list) else at
        del copy[_key(at, step, path)]
        return copy

    return _edit(doc, path, change)


def _test(doc: Any, path: Sequence[str], expected: Any) -> None:
    found = _get(doc, path)
    if not _equal(found, expected):
        raise JsonPatchTestFailed(f"testing {_show(path)} failed: the value there is another")


def _equal(left: Any, right: Any) -> bool:
    """JSON's equality: unlike Python's, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)


def _size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise JsonPatchError("the value to copy is nested too deeply") from None


def _show(path: Sequence[str]) -> str:
    return '"/' + "/".join(step.replace("~", "~0").replace("/", "~1") for step in path) + '"'
