"""Checks of single values that many kinds share: numbers, ports, choices, selectors."""

import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import Any

from podling.controlplane.apiserver.strategies.metadata_validation import NOT_NEGATIVE
from podling.kube import label_selectors, names
from podling.kube.errors import FieldError
from podling.kube.meta import Object

PROTOCOLS = ("SCTP", "TCP", "UDP")

_PERCENT = re.compile("[0-9]+%")
_PERCENT_TEXT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  "
    "or '93%', regex used for validation is '[0-9]+%')"
)
_OPERATORS_WITH_VALUES = ("In", "NotIn")
_OPERATORS_WITHOUT_VALUES = ("Exists", "DoesNotExist")


def not_negative(obj: Object, field: str, path: str) -> list[FieldError]:
    """A number, if it is there, is at least 0."""
    value = obj.get(field)
    if value is not None and value < 0:
        return [FieldError.invalid(f"{path}.{field}", value, NOT_NEGATIVE)]
    return []


def one_of(obj: Object, field: str, choices: Collection[str], path: str) -> list[FieldError]:
    """A text is there, and is one of `choices` (sorted)."""
    value = obj.get(field)
    if not value:
        return [FieldError.required(f"{path}.{field}")]
    return maybe_one_of(obj, field, choices, path)


def maybe_one_of(obj: Object, field: str, choices: Collection[str], path: str) -> list[FieldError]:
    """A text, if it is there, is one of `choices` (sorted)."""
    value = obj.get(field)
    if value and value not in choices:
        return [FieldError.not_supported(f"{path}.{field}", value, choices)]
    return []


def port_number(value: int, path: str) -> list[FieldError]:
    return [FieldError.invalid(path, value, text) for text in names.port_number_errors(value)]


def port_number_or_name(value: Any, path: str) -> list[FieldError]:
    """An IntOrString that names a container's port."""
    if isinstance(value, int):
        return port_number(value, path)
    return [FieldError.invalid(path, value, text) for text in names.port_name_errors(value or "")]


def dns_label(value: str, path: str) -> list[FieldError]:
    return [FieldError.invalid(path, value, text) for text in names.dns_label_errors(value)]


def required_dns_label(value: str, path: str) -> list[FieldError]:
    return dns_label(value, path) if value else [FieldError.required(path)]


def address(value: str, path: str) -> list[FieldError]:
    """An IPv4 or IPv6 address."""
    try:
        ip_address(value)
    except ValueError:
        text = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        return [FieldError.invalid(path, value, text)]
    return []


def count_or_percent(value: Any, path: str) -> list[FieldError]:
    """An IntOrString that is a count of pods or a percentage of them."""
    if isinstance(value, int):
        return [FieldError.invalid(path, value, NOT_NEGATIVE)] if value < 0 else []
    if not _PERCENT.fullmatch(str(value)):
        return [FieldError.invalid(path, value, _PERCENT_TEXT)]
    return []


def percent(value: Any) -> int | None:
    """The percentage in an IntOrString; None if it is not one."""
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return int(value[:-1])
    return None


def label_selector(selector: Object, path: str) -> list[FieldError]:
    """A meta/v1 LabelSelector."""
    errors = []
    for key, value in (selector.get("matchLabels") or {}).items():
        where = f"{path}.matchLabels"
        errors += [
            FieldError.invalid(where, key, text) for text in names.qualified_name_errors(key)
        ]
        errors += [
            FieldError.invalid(where, value, text) for text in names.label_value_errors(value)
        ]
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        errors += _expression(expression, f"{path}.matchExpressions[{index}]")
    return errors


def _expression(expression: Object, path: str) -> list[FieldError]:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    errors = []
    if operator in _OPERATORS_WITH_VALUES:
        if not values:
            text = "must be specified when `operator` is 'In' or 'NotIn'"
            errors.append(FieldError.required(f"{path}.values", text))
    elif operator in _OPERATORS_WITHOUT_VALUES:
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(FieldError.forbidden(f"{path}.values", text))
    else:
        text = "not a valid selector operator"
        errors.append(FieldError.invalid(f"{path}.operator", operator, text))
    key = expression.get("key", "")
    errors += [
        FieldError.invalid(f"{path}.key", key, text) for text in names.qualified_name_errors(key)
    ]
    for index, value in enumerate(values):
        errors += [
            FieldError.invalid(f"{path}.values[{index}]", value, text)
            for text in names.label_value_errors(value)
        ]
    return errors


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a valid meta/v1 LabelSelector matches `labels`."""
    try:
        return label_selectors.from_object(selector).matches(labels)
    except ValueError:
        return False
