"""`podling chaos`: break things on purpose."""

from collections.abc import Callable

import click

from podling.aiokit import ids
from podling.cli.cluster import local_cluster
from podling.cli.options import directory
from podling.launcher.chaos import Chaos
from podling.launcher.errors import LauncherError
from podling.launcher.layout import Layout


@click.group()
def chaos() -> None:
    """Break parts of the cluster on purpose.

    TARGET is leader, follower, a replica (replica-2), a node (node-1; its pods go with it) or a
    pod (pod/NAME).
    """


def _command(verb: str, done: str, help_text: str) -> None:
    @chaos.command(verb, help=help_text)
    @directory
    @click.option("-n", "--namespace", default="default", show_default=True, help="Of a pod.")
    @click.argument("target")
    @click.pass_obj
    def act(layout: Layout, target: str, namespace: str) -> None:
        try:
            breaker = Chaos(local_cluster(layout), ids.system_dice())
            action: Callable[[str, str], str] = getattr(breaker, verb)
            click.echo(f"{done} {action(target, namespace)}")
        except LauncherError as error:
            raise click.ClickException(str(error)) from None


_command("kill", "killed", "Kill TARGET, as if its power were cut. It stays dead until `up`.")
_command("pause", "paused", "Stop TARGET in its tracks: it lives, keeps its sockets, does nothing.")
_command("resume", "resumed", "Let a paused TARGET go on.")
_command("restart", "restarted", "Kill TARGET and start it again.")
