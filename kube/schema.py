"""Check an object against its type, and describe types to clients.

`check` does to freshly parsed JSON what a typed decoder does on its way into a struct: it finds
values of the wrong type, drops nulls and unknown fields, brings quantities and times into their
canonical form; then it looks for required fields and for values outside an enumeration.
"""

import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from podling.kube import quantity, schema_table, timestamps
from podling.kube.field_errors import TYPE_INVALID, FieldError
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from podling.kube.schema_table import Field, Form, Type

_Path = tuple[Any, str | int] | None
"""Where the walker is: (the parent's path, name or index). Made into text only for a finding."""

_STRING, _STRUCT, _LIST, _MAP = Form.STRING, Form.STRUCT, Form.LIST, Form.MAP
_INTEGER, _BOOLEAN = Form.INTEGER, Form.BOOLEAN

_NAMES = {
    Form.STRING: "string", Form.STRUCT: "object", Form.LIST: "array", Form.MAP: "object",
    Form.INTEGER: "integer", Form.BOOLEAN: "boolean", Form.QUANTITY: "quantity",
    Form.INT_OR_STRING: "integer or string", Form.TIME: "date-time",
    Form.MICRO_TIME: "date-time", Form.BYTES: "string", Form.NUMBER: "number",
    Form.FREE: "object",
}  # fmt: skip
_MAY_BE_LEFT_OUT = frozenset(
    {
        ("io.k8s.api.core.v1.Event", "metadata"),
        ("io.k8s.api.discovery.v1.EndpointSlice", "endpoints"),
        ("io.k8s.api.rbac.v1.ClusterRole", "rules"),
        ("io.k8s.api.rbac.v1.Role", "rules"),
    }
)
"""Required by the published definitions, though kube-apiserver takes objects without them."""
_JSON_NAMES = {
    str: "string", dict: "object", list: "array", int: "integer", bool: "boolean",
    float: "number", type(None): "null",
}  # fmt: skip


@dataclass(slots=True)
class Findings:
    """What `check` found."""

    errors: list[FieldError] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Paths of unknown fields. Whether they matter is the request's `fieldValidation`."""

    @property
    def type_errors(self) -> list[FieldError]:
        """Those that make the object unreadable: a bad request rather than an invalid object."""
        return [error for error in self.errors if error.reason == TYPE_INVALID]


def type_of(kind: Kind) -> str:
    """The name of a kind's type. Raises KeyError if the kind is not a built-in one."""
    return schema_table.type_names()[kind.api_version, kind.kind]


def type_named(api_version: str, kind: str) -> str | None:
    """The type of any body, kinds that are never stored included: `Scale`, `Binding`."""
    return schema_table.type_names().get((api_version, kind))


def check(type_or_kind: str | Kind, obj: Any) -> Findings:
    """Check an object and bring it, in place, into the form that is stored.

    Required fields are not demanded below `status`, where upstream fills them with zero values.
    """
    name = type_of(type_or_kind) if isinstance(type_or_kind, Kind) else type_or_kind
    findings = Findings()
    if type(obj) is not dict:
        _type_error(findings, None, obj, Form.STRUCT)
        return findings
    try:
        _struct(schema_table.find(name), obj, None, findings, strict=True)
    except RecursionError:
        findings.errors.append(FieldError("", TYPE_INVALID, "Invalid value: nested too deeply"))
    return findings


def unknown_field_texts(findings: Findings) -> list[str]:
    """As upstream words them, for `strict decoding error: …` and for Warning headers."""
    return [f'unknown field "{path}"' for path in findings.unknown]


def _struct(kind: Type, obj: Object, path: _Path, findings: Findings, *, strict: bool) -> None:
    fields = kind.fields
    gone: list[str] = []
    nulls: list[str] = []
    for name, value in obj.items():
        rule = fields.get(name)
        if rule is None:
            findings.unknown.append(_text((path, name)))
            gone.append(name)
        elif value is None:
            nulls.append(name)
        elif rule.form is _STRING:
            if type(value) is not str or (rule.enum is not None and value not in rule.enum):
                _string_error(rule, value, (path, name), findings)
        elif rule.form is _STRUCT:
            if type(value) is dict:
                below = strict and (path is not None or name != "status")
                inner = schema_table.find(rule.type_name)
                _struct(inner, value, (path, name), findings, strict=below)
            else:
                _type_error(findings, (path, name), value, Form.STRUCT)
        else:
            obj[name] = _value(rule, value, (path, name), findings, strict)
    if strict:
        for name in kind.required:
            # Null is how Go spells an empty list, so it counts as given.
            if name not in obj and (kind.name, name) not in _MAY_BE_LEFT_OUT:
                findings.errors.append(FieldError.required(_text((path, name))))
    for name in (*gone, *nulls):
        del obj[name]


def _value(rule: Field, value: Any, path: _Path, findings: Findings, strict: bool) -> Any:
    """Check a value of any form; returns it in canonical form."""
    form = rule.form
    if form is _INTEGER:
        if type(value) is not int:
            _type_error(findings, path, value, form)
        elif not -(1 << rule.bits - 1) <= value < 1 << rule.bits - 1:
            findings.errors.append(
                FieldError.type_invalid(_text(path), value, f"must fit into {rule.bits} bits")
            )
    elif form is _LIST:
        _list(rule, value, path, findings, strict)
    elif form is _MAP:
        _map(rule, value, path, findings, strict)
    elif form is _BOOLEAN:
        if type(value) is not bool:
            _type_error(findings, path, value, form)
    elif form is _STRING:
        if type(value) is not str or (rule.enum is not None and value not in rule.enum):
            _string_error(rule, value, path, findings)
    elif form is _STRUCT:
        if type(value) is dict:
            _struct(schema_table.find(rule.type_name), value, path, findings, strict=strict)
        else:
            _type_error(findings, path, value, form)
    else:
        return _special(form, value, path, findings)
    return value


def _list(rule: Field, values: Any, path: _Path, findings: Findings, strict: bool) -> None:
    if type(values) is not list or rule.item is None:
        _type_error(findings, path, values, Form.LIST)
        return
    item = rule.item
    for index, value in enumerate(values):
        if type(value) is not str or item.form is not _STRING or item.enum is not None:
            values[index] = _value(item, value, (path, index), findings, strict)


def _map(rule: Field, values: Any, path: _Path, findings: Findings, strict: bool) -> None:
    if type(values) is not dict or rule.item is None:
        _type_error(findings, path, values, Form.MAP)
        return
    item = rule.item
    for key, value in values.items():
        if type(value) is not str or item.form is not _STRING:
            if value is None and item.form in (Form.STRING, Form.BYTES):
                values[key] = ""
            else:
                values[key] = _value(item, value, (path, f"[{key}]"), findings, strict)


def _special(form: Form, value: Any, path: _Path, findings: Findings) -> Any:
    """The forms that are not plain JSON types."""
    good = True
    match form:
        case Form.QUANTITY:
            return _quantity(value, path, findings)
        case Form.TIME | Form.MICRO_TIME:
            return _time(form, value, path, findings)
        case Form.BYTES:
            _bytes(value, path, findings)
        case Form.INT_OR_STRING:
            good = type(value) is str or (type(value) is int and -(1 << 31) <= value < 1 << 31)
        case Form.NUMBER:
            good = type(value) in (int, float)
        case Form.FREE:
            good = type(value) is dict
    if not good:
        _type_error(findings, path, value, form)
    return value


def _quantity(value: Any, path: _Path, findings: Findings) -> Any:
    try:
        return quantity.canonical(value)
    except quantity.QuantityError as error:
        findings.errors.append(FieldError.type_invalid(_text(path), value, str(error)))
        return value


def _time(form: Form, value: Any, path: _Path, findings: Findings) -> Any:
    if type(value) is not str:
        _type_error(findings, path, value, form)
        return value
    try:
        moment = timestamps.parse_time(value)
    except ValueError as error:
        findings.errors.append(FieldError.type_invalid(_text(path), value, str(error)))
        return value
    if form is Form.TIME:
        return timestamps.format_time(moment)
    return timestamps.format_micro_time(moment)


def _bytes(value: Any, path: _Path, findings: Findings) -> None:
    """What is wrong is told without the value, which may be a secret."""
    if type(value) is not str:
        _type_error(findings, path, value, Form.BYTES)
        return
    try:
        binascii.a2b_base64(value.replace("\n", "").replace("\r", ""), strict_mode=True)
    except ValueError:
        findings.errors.append(
            FieldError(_text(path), TYPE_INVALID, "Invalid value: illegal base64 data")
        )


def _string_error(rule: Field, value: Any, path: _Path, findings: Findings) -> None:
    if type(value) is not str:
        _type_error(findings, path, value, Form.STRING)
        return
    choices = sorted(choice for choice in rule.enum or () if choice)
    findings.errors.append(FieldError.not_supported(_text(path), value, choices))


def _type_error(findings: Findings, path: _Path, value: Any, form: Form) -> None:
    """Names the type that was found, not the value, which may be a secret."""
    found = _JSON_NAMES.get(type(value), type(value).__name__)
    detail = f"must be of type {_NAMES[form]}"
    findings.errors.append(FieldError.type_invalid(_text(path), found, detail))


def _text(path: _Path) -> str:
    """`spec.containers[0].image`, `metadata.labels[app]`."""
    parts: list[str] = []
    while path is not None:
        path, step = path
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif path is None or step.startswith("["):
            parts.append(step)
        else:
            parts.append(f".{step}")
    return "".join(reversed(parts))


def openapi_components(root_types: Iterable[str]) -> dict[str, Object]:
    """The `components.schemas` of an OpenAPI v3 document: these types and all they refer to.

    References are wrapped into `allOf`, as upstream writes them. Raises KeyError.
    """
    types = schema_table.openapi_types()
    components: dict[str, Object] = {}
    waiting = list(root_types)
    while waiting:
        name = waiting.pop()
        if name not in components:
            components[name] = _openapi(types[name], waiting)
    return dict(sorted(components.items()))


def _openapi(schema: Object, references: list[str]) -> Object:
    """A copy with references spelled out; the names referred to are added to `references`."""
    result: Object = {}
    for key, value in schema.items():
        match key:
            case "$ref":
                references.append(value)
                result["allOf"] = [{"$ref": f"#/components/schemas/{value}"}]
            case "properties":
                result[key] = {name: _openapi(one, references) for name, one in value.items()}
            case "items" | "additionalProperties":
                result[key] = _openapi(value, references)
            case _:
                result[key] = value
    return result
