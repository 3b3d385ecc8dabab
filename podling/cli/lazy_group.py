"""A group of commands whose modules are imported only when they are called, to start fast."""

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """Knows of each command only where it is: `module:attribute`, by name, in the help's order."""

    def __init__(self, *args: Any, places: Mapping[str, str], **rest: Any) -> None:
        super().__init__(*args, **rest)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._places:
            return None
        module, attribute = self._places[cmd_name].split(":")
        command = getattr(importlib.import_module(module), attribute)
        return command if isinstance(command, click.Command) else None
