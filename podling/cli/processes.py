"""`podling server` and `podling node`: one process of a cluster, in the foreground.

`podling up` forks the same processes from its fork server, which is quicker and gives replicas a
shared listener. These commands are for whoever watches over processes in another way.
"""

import os
import sys

import click

from podling.aiokit import logs
from podling.cli.options import directory
from podling.launcher import cluster_file
from podling.launcher.cluster_file import launcher_of
from podling.launcher.errors import LauncherError
from podling.launcher.forking import process_lock
from podling.launcher.forking.fork_server import redirect_output
from podling.launcher.forking.processes import Processes
from podling.launcher.layout import Layout


@click.command()
@directory
@click.argument("name")
@click.pass_obj
def server(layout: Layout, name: str) -> None:
    """Run replica NAME (such as replica-1) of a cluster in the foreground.

    It listens at its own address only, as cluster.yaml has it.
    """
    _check(layout, name)
    sys.exit(_run(layout, name))


@click.command()
@directory
@click.argument("name")
@click.pass_obj
def node(layout: Layout, name: str) -> None:
    """Run the agent of node NAME (such as node-1) in the foreground.

    Its launcher, which owns the pods, is started beside it unless it runs, and outlives it.
    """
    _check(layout, name)
    if process_lock.holder(layout.lock(launcher_of(name))) is None:
        _start_launcher(layout, launcher_of(name))
    sys.exit(_run(layout, name))


def _check(layout: Layout, name: str) -> None:
    try:
        cluster = cluster_file.load(layout.cluster_file)
        layout.create()
        if name not in cluster.process_names:
            known = ", ".join(cluster.process_names)
            raise click.ClickException(f"the cluster has no {name!r}; it has: {known}")
        if process_lock.holder(layout.lock(name)) is not None:
            raise click.ClickException(f"{name} runs already; see: podling status")
    except LauncherError as error:
        raise click.ClickException(str(error)) from None


def _start_launcher(layout: Layout, name: str) -> None:
    """In a process of its own, forked while this one has no threads and no event loop."""
    if os.fork() == 0:
        os.setsid()
        redirect_output(layout, name)
        os._exit(_run(layout, name))


def _run(layout: Layout, name: str) -> int:
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    os.chdir(layout.root)
    logs.configure(name)
    lock = process_lock.hold(layout.lock(name))
    try:
        return Processes(layout, None).run(name)
    except LauncherError as error:
        raise click.ClickException(str(error)) from None
    finally:
        os.close(lock)
