"""What is wrong with one field of an object, worded as kube-apiserver words it.

A validation returns a list of these; `errors.Invalid` puts them into a Status as its causes.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"
FORBIDDEN = "FieldValueForbidden"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
NOT_FOUND = "FieldValueNotFound"
TYPE_INVALID = "FieldValueTypeInvalid"
INTERNAL = "InternalError"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One cause of an Invalid status."""

    field: str
    """Path from the object's root: `spec.containers[0].image`, `metadata.labels[app]`."""
    reason: str
    """A cause type: one of this module's constants."""
    message: str
    """Without the path: `Invalid value: "x": must be …`."""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def to_cause(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}

    @classmethod
    def required(cls, field: str, detail: str = "") -> "FieldError":
        return cls(field, REQUIRED, _with("Required value", detail))

    @classmethod
    def invalid(cls, field: str, value: Any, detail: str = "") -> "FieldError":
        return cls(field, INVALID, _with(f"Invalid value: {_show(value)}", detail))

    @classmethod
    def type_invalid(cls, field: str, value: Any, detail: str = "") -> "FieldError":
        return cls(field, TYPE_INVALID, _with(f"Invalid value: {_show(value)}", detail))

    @classmethod
    def not_supported(cls, field: str, value: Any, supported: Iterable[str]) -> "FieldError":
        """`supported` is shown in the order given; upstream's lists are sorted."""
        listed = ", ".join(_show(choice) for choice in supported)
        detail = f"supported values: {listed}" if listed else ""
        return cls(field, NOT_SUPPORTED, _with(f"Unsupported value: {_show(value)}", detail))

    @classmethod
    def duplicate(cls, field: str, value: Any) -> "FieldError":
        return cls(field, DUPLICATE, f"Duplicate value: {_show(value)}")

    @classmethod
    def not_found(cls, field: str, value: Any) -> "FieldError":
        return cls(field, NOT_FOUND, f"Not found: {_show(value)}")

    @classmethod
    def forbidden(cls, field: str, detail: str) -> "FieldError":
        return cls(field, FORBIDDEN, _with("Forbidden", detail))

    @classmethod
    def too_long(cls, field: str, limit: int) -> "FieldError":
        """`limit` in bytes."""
        return cls(field, TOO_LONG, f"Too long: may not be more than {limit} bytes")

    @classmethod
    def too_many(cls, field: str, count: int, limit: int) -> "FieldError":
        items = "item" if limit == 1 else "items"
        return cls(field, TOO_MANY, f"Too many: {count}: must have at most {limit} {items}")


def _with(text: str, detail: str) -> str:
    return f"{text}: {detail}" if detail else text


def _show(value: Any) -> str:
    """As JSON, which is how Go's `%q` and `%v` print texts, numbers and truth values too."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
