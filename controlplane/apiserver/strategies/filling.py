"""Filling in what a writer left out, with Go's idea of what "left out" means.

To kube-apiserver an explicit `null` is absent, and so is the empty text of a field that is not a
pointer. Defaulting here follows that: `fill` for pointers, `fill_zero` for plain values.
"""

from collections.abc import Iterator
from typing import Any

from podling.kube.meta import Object


def fill(obj: Object, field: str, value: Any) -> None:
    """Set a field that is absent or null."""
    if obj.get(field) is None:
        obj[field] = value


def fill_zero(obj: Object, field: str, value: Any) -> None:
    """Set a field that is absent, null or zero: "", 0, false or empty."""
    if not obj.get(field):
        obj[field] = value


def section(obj: Object, field: str) -> Object:
    """The object in a field, made if it is absent or null."""
    if obj.get(field) is None:
        obj[field] = {}
    found: Object = obj[field]
    return found


def items(obj: Object, field: str) -> Iterator[Object]:
    """The objects of a list field, none if it is absent or null."""
    return iter(obj.get(field) or ())
