"""What a printer of one kind consists of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from podling.kube.meta import Object

#: (object, now in seconds since the Unix epoch) -> one cell per column.
Cells = Callable[[Object, float], list[Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """meta/v1 TableColumnDefinition."""

    name: str
    type: str
    """OpenAPI type of the cells: string or integer."""
    description: str
    format: str = ""
    """`name` marks the column that identifies the row."""
    priority: int = 0
    """Columns above 0 are shown with `-o wide` only."""

    def definition(self) -> Object:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


@dataclass(frozen=True, slots=True)
class Printer:
    """How objects of one kind become rows."""

    columns: tuple[Column, ...]
    cells: Cells
    conditions: Callable[[Object], list[Object]] = lambda _: []
    """meta/v1 TableRowConditions: marks rows that clients may leave out or dim."""


NAME = Column("Name", "string", "Unique within the namespace, and never changed.", format="name")
AGE = Column("Age", "string", "Time since the object was created.")


def text(name: str, description: str) -> Column:
    return Column(name, "string", description)


def number(name: str, description: str) -> Column:
    return Column(name, "integer", description)


def wide(name: str, description: str, type_: str = "string") -> Column:
    """A column for `-o wide`."""
    return Column(name, type_, description, priority=1)
