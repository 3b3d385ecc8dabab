"""Field paths of the downward API: `metadata.name`, `metadata.labels['app']`, `status.podIP`.

Source: the Kubernetes page "Downward API".
"""

import json
import re
from collections.abc import Mapping
from typing import Any

_SUBSCRIPTED = re.compile(r"(.+?)\['(.*)'\]", re.DOTALL)


class FieldPathError(ValueError):
    """The path cannot be followed."""


def split(path: str) -> tuple[str, str | None]:
    """(path, subscript) of `metadata.labels['app']`; the subscript is None where there is none."""
    match = _SUBSCRIPTED.fullmatch(path)
    return (match[1], match[2]) if match else (path, None)


def value(obj: Mapping[str, Any], path: str) -> str:
    """The text a container sees. A whole map is one `key="value"` line per pair, sorted.

    Raises FieldPathError where the path leads to an object or list, or through something that is
    neither; a field that is merely absent is empty.
    """
    plain, subscript = split(path)
    found: Any = obj
    for step in plain.split("."):
        if not isinstance(found, Mapping):
            raise FieldPathError(f"unsupported fieldPath: {path}")
        found = found.get(step, {} if step in ("labels", "annotations", "status") else None)
        if found is None:
            return ""
    if subscript is not None:
        if not isinstance(found, Mapping):
            raise FieldPathError(f"fieldPath {plain!r} does not support subscript")
        return str(found.get(subscript, ""))
    if isinstance(found, Mapping) and plain in ("metadata.labels", "metadata.annotations"):
        return "\n".join(
            f"{key}={json.dumps(found[key], ensure_ascii=False)}" for key in sorted(found)
        )
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, str | int):
        return str(found)
    raise FieldPathError(f"unsupported fieldPath: {path}")
