"""Reading JSON bodies: fast, bounded in depth, and with an eye for keys that occur twice.

A JSON parser keeps the last of several equal keys and says nothing. `fieldValidation=Strict` has to
name them, so the bodies of such requests are read a second time, by a parser that sees each pair.
"""

import json
from typing import Any

import orjson

MAX_DEPTH = 200
"""Nesting. What is read here has to be written again, and orjson writes 254 levels."""


class JsonError(ValueError):
    """Not JSON, or nested too deeply."""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object before its equal keys have fallen together."""


def loads(body: bytes, *, find_duplicates: bool = True) -> tuple[Any, list[str]]:
    """The value, and the paths of keys that occur more than once in their object.

    Raises JsonError.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise JsonError(f"error decoding JSON: {error}") from None
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and is_too_deep(value):
        raise JsonError(f"error decoding JSON: nested more than {MAX_DEPTH} levels deep")
    if not find_duplicates or orjson.dumps(value) == body.strip():
        # What a value without equal keys is written as cannot have had any.
        return value, []
    return value, _duplicates(body)


def is_too_deep(value: Any) -> bool:
    """Whether a value is nested more than MAX_DEPTH levels deep."""
    layer = [value]
    for _ in range(MAX_DEPTH):
        layer = [
            inner
            for one in layer
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not layer:
            return False
    return True


def _duplicates(body: bytes) -> list[str]:
    found: list[str] = []
    _walk(json.loads(body, object_pairs_hook=_Pairs, parse_int=str, parse_float=str), "", found)
    return found


def _walk(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, inner in value:
            where = f"{path}.{key}" if path else key
            if key in seen and where not in found:
                found.append(where)
            seen.add(key)
            _walk(inner, where, found)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _walk(inner, f"{path}[{index}]", found)


def strict_error(unknown: list[str], duplicates: list[str]) -> str:
    """Upstream's text for a body that strict validation refuses."""
    texts = [f'unknown field "{path}"' for path in unknown]
    texts += [f'duplicate field "{path}"' for path in duplicates]
    return f"strict decoding error: {', '.join(texts)}"
