"""Field selectors: `spec.nodeName=node-1,status.phase!=Failed`.

Only `=`, `==` and `!=` exist; a backslash escapes a comma, an equals sign or a backslash in a
value. Which fields may be used is part of each kind's record. Source: apimachinery's `fields`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from podling.kube.kinds import Kind
from podling.kube.label_selectors import SelectorError

EQUALS = "="
NOT_EQUALS = "!="


class FieldRequirement(NamedTuple):
    """One condition: `op` is `=` or `!=`."""

    field: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All requirements must hold; none at all matches every object."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """`fields` are an object's selectable fields; one that is missing counts as empty."""
        return all(
            (fields.get(field, "") == value) == (op == EQUALS)
            for field, op, value in self.requirements
        )

    def required(self, field: str) -> str | None:
        """The one value that `field` must have, if the selector says so."""
        for name, op, value in self.requirements:
            if name == field and op == EQUALS:
                return value
        return None

    def __str__(self) -> str:
        return ",".join(f"{field}{op}{escape(value)}" for field, op, value in self.requirements)


EVERYTHING = FieldSelector()


def parse(text: str) -> FieldSelector:
    """Raises SelectorError."""
    return FieldSelector(tuple(_requirement(term, text) for term in _split(text) if term))


def parse_for(kind: Kind, text: str) -> FieldSelector:
    """Parse, and refuse fields that objects of the kind cannot be selected by."""
    selector = parse(text)
    for field, _, _ in selector.requirements:
        if field not in kind.selectable_fields:
            known = '", "'.join(kind.selectable_fields)
            raise SelectorError(
                f'field label not supported: {field} ({kind.plural} know only "{known}")'
            )
    return selector


def values(kind: Kind, obj: Mapping[str, Any]) -> dict[str, str]:
    """The selectable fields of an object: what `matches` wants."""
    defaults = kind.selectable_defaults
    return {
        field: _text(_walk(obj, path), defaults.get(field, ""))
        for field, path in kind.selectable_fields.items()
    }


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _walk(obj: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if not isinstance(obj, Mapping):
            return None
        obj = obj.get(step)
    return obj


def _text(value: Any, default: str) -> str:
    if value is None:
        return default
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _split(text: str) -> list[str]:
    """The terms between commas that no backslash escapes."""
    terms: list[str] = []
    start = 0
    escaped = False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            terms.append(text[start:index])
            start = index + 1
    return [*terms, text[start:]]


def _requirement(term: str, text: str) -> FieldRequirement:
    for index, character in enumerate(term):
        if character == "=":
            width = 2 if term.startswith("==", index) else 1
            return FieldRequirement(term[:index], EQUALS, _unescape(term[index + width :]))
        if term.startswith("!=", index):
            return FieldRequirement(term[:index], NOT_EQUALS, _unescape(term[index + 2 :]))
    raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")


def _unescape(value: str) -> str:
    out: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            following = next(characters, "")
            if following not in ("\\", ",", "=") or not following:
                raise SelectorError(
                    f"invalid field selector: invalid escape sequence: \\{following}"
                )
            out.append(following)
        elif character == "=":
            raise SelectorError(
                f"invalid field selector: unescaped character in value: {character}"
            )
        else:
            out.append(character)
    return "".join(out)
