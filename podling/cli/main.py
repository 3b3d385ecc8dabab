"""`podling`: the command line. Commands are small; what they do lives in `podling.launcher`."""

from pathlib import Path
from typing import Any

import click

from podling import __version__
from podling.cli.lazy_group import LazyGroup
from podling.launcher import grpc_engine
from podling.launcher.layout import Layout

DEFAULT_DIR = "~/.podling"

COMMANDS = {
    "up": "podling.cli.cluster:up",
    "down": "podling.cli.cluster:down",
    "status": "podling.cli.cluster:status",
    "kubectl": "podling.cli.kubectl:kubectl",
    "image": "podling.cli.image:image",
    "chaos": "podling.cli.chaos:chaos",
    "server": "podling.cli.processes:server",
    "node": "podling.cli.processes:node",
    "store": "podling.cli.store:store",
    "apiserver": "podling.cli.apiserver:apiserver",
    "simulate": "podling.cli.simulate:simulate",
}


class MainGroup(LazyGroup):
    """All commands there are."""

    def invoke(self, ctx: click.Context) -> Any:
        """A file that cannot be had is told in a line; what else goes wrong is a defect."""
        # Before the command's module is imported, and the library with it.
        grpc_engine.choose()
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(str(error)) from error


@click.group(
    cls=MainGroup, places=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="podling")
@click.option(
    "--dir",
    "directory",
    envvar="PODLING_DIR",
    default=DEFAULT_DIR,
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where everything of the cluster lives (also $PODLING_DIR).",
)
@click.pass_context
def main(context: click.Context, directory: Path) -> None:
    """A Kubernetes that you pip install: a real cluster of ordinary processes."""
    context.obj = Layout.at(directory)
