"""Putting a meta/v1 Table together (Kubernetes document "API concepts: receiving resources as
Tables").
"""

from collections.abc import Iterable
from typing import Any

from podling.controlplane.apiserver.tables.columns import NAME, Printer, text
from podling.controlplane.apiserver.tables.printers import PRINTERS
from podling.kube import meta
from podling.kube.kinds import Kind
from podling.kube.meta import Object

#: Values of the `includeObject` parameter; the default is Metadata.
INCLUDE_NONE = "None"
INCLUDE_METADATA = "Metadata"
INCLUDE_OBJECT = "Object"

META_API_VERSION = "meta.k8s.io/v1"


def _fallback_cells(obj: Object, now: float) -> list[Any]:
    return [meta.name(obj), meta.metadata(obj).get("creationTimestamp", "")]


#: For kinds that nobody wrote a printer for.
_FALLBACK = Printer((NAME, text("Created At", "When the object was created.")), _fallback_cells)


def table(
    kind: Kind,
    objects: Iterable[Object],
    include_object: str = INCLUDE_METADATA,
    now: float = 0.0,
    with_columns: bool = True,
    api_version: str = META_API_VERSION,
) -> Object:
    """The Table of some objects of one kind; its `metadata` is left to the caller.

    In a watch only the first event's Table has columns (`with_columns`).
    """
    printer = PRINTERS.get(kind, _FALLBACK)
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": {},
        "columnDefinitions": (
            [column.definition() for column in printer.columns] if with_columns else []
        ),
        "rows": [_row(printer, obj, include_object, now, api_version) for obj in objects],
    }


def partial_object(obj: Object, api_version: str = META_API_VERSION) -> Object:
    """The object reduced to its metadata (meta/v1 PartialObjectMetadata)."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": api_version,
        "metadata": obj.get("metadata") or {},
    }


def _row(
    printer: Printer, obj: Object, include_object: str, now: float, api_version: str
) -> Object:
    row: Object = {"cells": printer.cells(obj, now)}
    if conditions := printer.conditions(obj):
        row["conditions"] = conditions
    if include_object == INCLUDE_OBJECT:
        row["object"] = obj
    elif include_object != INCLUDE_NONE:
        row["object"] = partial_object(obj, api_version)
    return row
