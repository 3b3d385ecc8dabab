"""The structure of every built-in Kubernetes type, read from the generated table on first use.

A type is a set of fields; a field has a form and, for lists, two families of merge rules which
differ on purpose: `list_type` with `list_map_keys` for server-side apply, `patch_strategies` with
`patch_merge_key` for strategic merge patch.
"""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any

import orjson

OpenApi = dict[str, Any]

_PREFIX = "io.k8s.apimachinery.pkg."


class Form(IntEnum):
    """What a field's JSON looks like."""

    STRING = 1
    STRUCT = 2
    """An object with the fields of a type."""
    LIST = 3
    MAP = 4
    """An object with any keys and values of one form."""
    INTEGER = 5
    BOOLEAN = 6
    QUANTITY = 7
    INT_OR_STRING = 8
    TIME = 9
    MICRO_TIME = 10
    BYTES = 11
    """Base64."""
    NUMBER = 12
    FREE = 13
    """An object whose fields nobody knows, such as a RawExtension."""
    ANY = 14


_SPECIAL = {
    f"{_PREFIX}api.resource.Quantity": Form.QUANTITY,
    f"{_PREFIX}util.intstr.IntOrString": Form.INT_OR_STRING,
    f"{_PREFIX}apis.meta.v1.Time": Form.TIME,
    f"{_PREFIX}apis.meta.v1.MicroTime": Form.MICRO_TIME,
}
_PLAIN = {
    "string": Form.STRING, "integer": Form.INTEGER, "boolean": Form.BOOLEAN,
    "number": Form.NUMBER, "array": Form.LIST,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a type, or what a list or a map consists of."""

    form: Form
    type_name: str = ""
    """Of a STRUCT."""
    item: "Field | None" = None
    """Of a LIST or a MAP."""
    enum: frozenset[str] | None = None
    """The values a STRING may have; the empty text, which means unset, is always one."""
    bits: int = 64
    """Of an INTEGER, sign included."""
    list_type: str = ""
    """`map`, `set`, `atomic` or empty."""
    list_map_keys: tuple[str, ...] = ()
    patch_strategies: frozenset[str] = frozenset()
    """`merge`, `replace`, `retainKeys`."""
    patch_merge_key: str = ""


@dataclass(frozen=True, slots=True)
class Type:
    """A named type."""

    name: str
    fields: Mapping[str, Field]
    required: tuple[str, ...]


@cache
def openapi_types() -> dict[str, OpenApi]:
    """Every type as the table has it: OpenAPI without descriptions, `$ref` a bare type name."""
    text = pkgutil.get_data("podling.kube.data", "schema.json")
    if text is None:
        raise FileNotFoundError("kube/data/schema.json is missing: run scripts/generate_kube.py")
    types: dict[str, OpenApi] = orjson.loads(text)["types"]
    return types


@cache
def type_names() -> dict[tuple[str, str], str]:
    """(apiVersion, kind) -> type name, for every kind that can be sent or received."""
    names = {}
    for name, schema in openapi_types().items():
        for one in schema.get("x-kubernetes-group-version-kind", ()):
            group, version = one["group"], one["version"]
            names[f"{group}/{version}" if group else version, one["kind"]] = name
    return names


@cache
def find(name: str) -> Type:
    """A type by its name, `io.k8s.api.core.v1.Pod`. Raises KeyError."""
    schema = openapi_types()[name]
    properties = schema.get("properties", {})
    return Type(
        name,
        {key: _field(one) for key, one in properties.items()},
        tuple(schema.get("required", ())),
    )


def _field(schema: OpenApi) -> Field:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _reference(reference, schema)
    inner = schema.get("items") or schema.get("additionalProperties")
    form = _form(schema)
    enum = schema.get("enum")
    return Field(
        form=form,
        item=_field(inner) if inner else None,
        enum=frozenset((*enum, "")) if enum else None,
        bits=32 if schema.get("format") == "int32" else 64,
        list_type=schema.get("x-kubernetes-list-type", ""),
        list_map_keys=tuple(schema.get("x-kubernetes-list-map-keys", ())),
        **_patch_rules(schema),
    )


def _reference(name: str, schema: OpenApi) -> Field:
    """A field of a named type, which is not always a struct."""
    if name in _SPECIAL:
        return Field(_SPECIAL[name])
    target = openapi_types()[name]
    if "properties" in target:
        return Field(Form.STRUCT, name, **_patch_rules(schema))
    return Field(Form.FREE if target.get("type") == "object" else Form.ANY)


def _form(schema: OpenApi) -> Form:
    if schema.get("format") == "byte":
        return Form.BYTES
    if "additionalProperties" in schema:
        return Form.MAP
    kind = schema.get("type")
    return Form.FREE if kind == "object" else _PLAIN.get(kind or "", Form.ANY)


def _patch_rules(schema: OpenApi) -> dict[str, Any]:
    strategies = schema.get("x-kubernetes-patch-strategy", "")
    return {
        "patch_strategies": frozenset(strategies.split(",")) if strategies else frozenset(),
        "patch_merge_key": schema.get("x-kubernetes-patch-merge-key", ""),
    }
