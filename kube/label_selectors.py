"""Label selectors: parse the text form, build from the object form, match, print.

    app=web,tier in (front,back),!canary,version>3

Grammar and texts follow apimachinery's `labels` package and the page "Labels and selectors".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from podling.kube import names

IN = "in"
NOT_IN = "notin"
EQUALS = "="
NOT_EQUALS = "!="
EXISTS = "exists"
DOES_NOT_EXIST = "!"
GREATER_THAN = ">"
LESS_THAN = "<"

_OBJECT_OPERATORS = {
    "In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": DOES_NOT_EXIST,
    "Gt": GREATER_THAN, "Lt": LESS_THAN,
}  # fmt: skip
_TEXT_OPERATORS = {
    "in": IN, "notin": NOT_IN, "=": EQUALS, "==": EQUALS, "!=": NOT_EQUALS, ">": GREATER_THAN,
    "<": LESS_THAN,
}  # fmt: skip
_EXPECTED_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_TOKEN = re.compile(r"\s*(?:(==|!=|[=!<>(),])|([^\s=!<>(),]+))")
_SYMBOLS = frozenset(("=", "==", "!=", "!", "<", ">", "(", ")", ","))
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_END = ""


class SelectorError(ValueError):
    """A selector that cannot be understood; the text says what and where."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: str
    """One of this module's constants."""
    values: frozenset[str] = frozenset()
    """One for `=`, `!=`, `>`, `<`; at least one for `in`, `notin`; none for the others."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "=" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        if _INTEGER.fullmatch(value) is None:
            return False
        limit = int(next(iter(self.values)))
        return int(value) > limit if self.operator == GREATER_THAN else int(value) < limit

    def __str__(self) -> str:
        match self.operator:
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
        return f"{self.key}{self.operator}{next(iter(self.values))}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; none at all matches every object."""

    requirements: tuple[Requirement, ...] = ()
    """In the order of their keys."""
    matches_nothing: bool = False
    """A selector that is absent from an object selects nothing, unlike an empty one."""

    @property
    def matches_everything(self) -> bool:
        return not self.requirements and not self.matches_nothing

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.matches_nothing:
            return False
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(matches_nothing=True)


def parse(text: str) -> LabelSelector:
    """The selector a query parameter or a command line spells. Raises SelectorError."""
    return _selector(_Parser(text).requirements()) if text.strip() else EVERYTHING


def from_map(labels: Mapping[str, str] | None) -> LabelSelector:
    """From `{label: value}`, as Services write theirs. Empty or absent matches everything."""
    pairs = (labels or {}).items()
    return _selector([Requirement(key, EQUALS, frozenset((value,))) for key, value in pairs])


def from_object(selector: Mapping[str, Any] | None) -> LabelSelector:
    """From `{matchLabels, matchExpressions}`; None matches nothing, `{}` everything.

    Raises SelectorError.
    """
    if selector is None:
        return NOTHING
    requirements = [
        _checked(key, EQUALS, (value,))
        for key, value in (selector.get("matchLabels") or {}).items()
    ]
    for expression in selector.get("matchExpressions") or ():
        operator = _OBJECT_OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise SelectorError(
                f'"{expression.get("operator", "")}" is not a valid label selector operator'
            )
        values = expression.get("values") or ()
        requirements.append(_checked(expression.get("key", ""), operator, values))
    return _selector(requirements)


def _selector(requirements: Sequence[Requirement]) -> LabelSelector:
    return LabelSelector(tuple(sorted(requirements, key=lambda one: one.key)))


def _checked(key: Any, operator: str, values: Sequence[Any]) -> Requirement:
    """A requirement whose key and values are legal. Raises SelectorError."""
    for value in (key, *values):
        if not isinstance(value, str):
            raise SelectorError(f"{value!r} in a label selector is not a text")
    errors = [f'key: Invalid value: "{key}": {text}' for text in names.qualified_name_errors(key)]
    if operator in (IN, NOT_IN) and not values:
        errors.append(
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
        )
    if operator in (EXISTS, DOES_NOT_EXIST) and values:
        errors.append(
            "values: Invalid value: values set must be empty for exists and does not exist"
        )
    if operator in (GREATER_THAN, LESS_THAN) and (
        len(values) != 1 or _INTEGER.fullmatch(values[0]) is None
    ):
        errors.append(
            f'values[0]: Invalid value: "{values[0] if values else ""}": '
            "for 'Gt', 'Lt' operators, the value must be an integer"
        )
    for index, value in enumerate(values):
        for text in names.label_value_errors(value):
            errors.append(f'values[{index}][{key}]: Invalid value: "{value}": {text}')
    if errors:
        raise SelectorError("; ".join(errors))
    return Requirement(key, operator, frozenset(values))


class _Parser:
    """Reads tokens left to right. `in` and `notin` are operators only after a key."""

    def __init__(self, text: str) -> None:
        words: list[tuple[str, str]] = _TOKEN.findall(text)
        self._tokens = [symbol or word for symbol, word in words] + [_END]
        self._at = 0

    def requirements(self) -> list[Requirement]:
        found = [self._requirement()]
        while (token := self._next()) != _END:
            if token != ",":
                self._fail(token, "',' or 'end of string'")
            if self._peek() in _SYMBOLS - {"!"} or self._peek() == _END:
                self._fail(self._peek(), "identifier after ','")
            found.append(self._requirement())
        return found

    def _requirement(self) -> Requirement:
        negated = self._peek() == "!"
        if negated:
            self._next()
        key = self._next()
        if key == _END or key in _SYMBOLS:
            self._fail(key, "identifier" if negated else "!, identifier, or 'end of string'")
        if negated:
            return _checked(key, DOES_NOT_EXIST, ())
        if self._peek() in (_END, ","):
            return _checked(key, EXISTS, ())
        token = self._next()
        operator = _TEXT_OPERATORS.get(token)
        if operator is None:
            self._fail(token, _EXPECTED_OPERATORS)
        if operator in (IN, NOT_IN):
            return _checked(key, operator, self._list())
        return _checked(key, operator, (self._value(),))

    def _value(self) -> str:
        """One value; nothing before a comma or the end is the empty value."""
        if self._peek() in (_END, ","):
            return ""
        token = self._next()
        if token in _SYMBOLS:
            self._fail(token, "identifier")
        return token

    def _list(self) -> list[str]:
        """`(a,b)`; an empty place between commas or brackets is the empty value."""
        if (token := self._next()) != "(":
            self._fail(token, "'('")
        values: list[str] = []
        value: str | None = None
        while (token := self._next()) not in (")", _END):
            if token == ",":
                values.append(value or "")
                value = None
            elif token in _SYMBOLS or value is not None:
                self._fail(token, "',', ')' or identifier")
            else:
                value = token
        if token == _END:
            self._fail(token, "',', ')' or identifier")
        return [*values, value or ""]

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        token = self._tokens[self._at]
        if token != _END:
            self._at += 1
        return token

    def _fail(self, token: str, expected: str) -> NoReturn:
        raise SelectorError(f"unable to parse requirement: found '{token}', expected: {expected}")
