"""`podling image`: name a command, so that pods can run it as an image."""

import shlex

import click

from podling.cli.options import directory
from podling.launcher.errors import LauncherError
from podling.launcher.images import ImageTable
from podling.launcher.layout import Layout


@click.group()
def image() -> None:
    """Name commands, so that pods run them as images.

    An image is a name for a command on this machine; nothing is pulled from anywhere.
    """


@image.command("add", context_settings={"ignore_unknown_options": True})
@directory
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def add(layout: Layout, name: str, command: tuple[str, ...]) -> None:
    """Let image NAME run COMMAND: podling image add web:1 -- python3 -m http.server."""
    try:
        layout.create()
        ImageTable(layout).add(name, command)
    except LauncherError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} runs: {shlex.join(command)}")


@image.command("remove")
@directory
@click.argument("name")
@click.pass_obj
def remove(layout: Layout, name: str) -> None:
    """Forget image NAME."""
    try:
        ImageTable(layout).remove(name)
    except LauncherError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} is forgotten")


@image.command("list")
@directory
@click.pass_obj
def list_images(layout: Layout) -> None:
    """Show the images and their commands."""
    try:
        images = dict(ImageTable(layout))
    except LauncherError as error:
        raise click.ClickException(str(error)) from None
    for name, command in images.items():
        click.echo(f"{name}\t{shlex.join(command)}")
