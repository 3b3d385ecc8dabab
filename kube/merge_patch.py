"""JSON Merge Patch, RFC 7386: objects are merged, null removes, anything else replaces."""

from collections.abc import Mapping
from typing import Any

from podling.kube.meta import Object


class MergePatchError(ValueError):
    """The patch is not one that an object can be merged with."""


def apply(doc: Mapping[str, Any], patch: Any) -> Object:
    """A new document; neither argument is changed, and unchanged parts are shared with them.

    Raises MergePatchError.
    """
    if not isinstance(patch, dict):
        raise MergePatchError("a merge patch must be a JSON object")
    try:
        return _merge(doc, patch)
    except RecursionError:
        raise MergePatchError("the merge patch is nested too deeply") from None


def _merge(target: Any, patch: Mapping[str, Any]) -> Object:
    result: Object = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = _merge(result.get(name), value)
        else:
            result[name] = value
    return result
