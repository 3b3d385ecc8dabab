"""What `kubectl get` prints, made on the server: one Table for a list, a watch event or an object.

One file per family of kinds says which columns a kind has and how its cells are read from an
object. Cells follow kube-apiserver's printers (pkg/printers/internalversion) to the letter, since
people and scripts read them. Everything here is pure: `now` is an argument.

Asynchronous code and anything that knows of requests do not belong here.
"""

from podling.controlplane.apiserver.tables.printers import PRINTERS
from podling.controlplane.apiserver.tables.table import (
    INCLUDE_METADATA,
    INCLUDE_NONE,
    INCLUDE_OBJECT,
    partial_object,
    table,
)

__all__ = [
    "INCLUDE_METADATA",
    "INCLUDE_NONE",
    "INCLUDE_OBJECT",
    "PRINTERS",
    "partial_object",
    "table",
]
