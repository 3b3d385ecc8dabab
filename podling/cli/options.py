"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from podling.launcher.layout import Layout

Function = TypeVar("Function", bound=Callable[..., Any])


def _use(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.obj = Layout.at(value)


def directory(function: Function) -> Function:
    """`--dir` after the command as well as before it."""
    return click.option(
        "--dir",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_use,
        is_eager=True,
        help="Where everything of the cluster lives.",
    )(function)
