"""`podling up`, `down` and `status`: the life of a cluster."""

import json
import shlex
from collections.abc import Sequence

import click
from click.core import ParameterSource

from podling.aiokit import ids
from podling.aiokit.clock import system_wall_clock
from podling.cli.options import directory
from podling.launcher.cluster_file import Cluster
from podling.launcher.errors import LauncherError
from podling.launcher.layout import Layout
from podling.launcher.local_cluster import LocalCluster, Wanted
from podling.launcher.status import ClusterStatus, observe
from podling.launcher.timings import PROFILES


def local_cluster(layout: Layout) -> LocalCluster:
    return LocalCluster(
        layout, system_wall_clock, ids.system_dice(), lambda text: click.echo(text, err=True)
    )


@click.command()
@directory
@click.option("--replicas", default=3, show_default=True, type=click.IntRange(1, 9))
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(0, 64))
@click.option(
    "--timings",
    default="local",
    show_default=True,
    type=click.Choice(sorted(PROFILES)),
    help="Time constants: fast ones for one machine, or those of upstream Kubernetes.",
)
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait until Ready.")
@click.pass_context
def up(context: click.Context, replicas: int, nodes: int, timings: str, timeout: float) -> None:
    """Make a cluster, or start what is missing of one; return when all is Ready.

    --replicas, --nodes and --timings are for a new cluster; one that is there keeps its own.
    """
    layout: Layout = context.obj
    try:
        cluster = local_cluster(layout).up(Wanted(replicas, nodes, timings), timeout)
    except LauncherError as error:
        raise click.ClickException(str(error)) from None
    _tell_kept(context, cluster)
    click.echo(f"the cluster is up at {cluster.api_url}")
    click.echo(f"  export KUBECONFIG={shlex.quote(str(layout.kubeconfig))}")
    click.echo("  podling kubectl get nodes")


def _tell_kept(context: click.Context, cluster: Cluster) -> None:
    """Say which options were given in vain, to a cluster that has its shape already."""
    has = {
        "replicas": len(cluster.replicas),
        "nodes": len(cluster.nodes),
        "timings": cluster.timings,
    }
    for name, value in has.items():
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE and (
            context.params[name] != value
        ):
            click.echo(f"--{name} is for a new cluster; this one keeps its own: {value}", err=True)


@click.command()
@directory
@click.option("--purge", is_flag=True, help="Also remove all its data, certificates and logs.")
@click.pass_obj
def down(layout: Layout, purge: bool) -> None:
    """Stop every process of the cluster. Its objects are kept for the next `up`."""
    try:
        local_cluster(layout).down(purge=purge)
    except LauncherError as error:
        raise click.ClickException(str(error)) from None
    click.echo("the cluster is down")


@click.command()
@directory
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def status(layout: Layout, output: str) -> None:
    """Show each replica's role, term and indexes, each node, and each process with its pid."""
    try:
        seen = observe(layout)
    except LauncherError as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(seen.to_json(), indent=2) if output == "json" else _text(seen))


def _text(seen: ClusterStatus) -> str:
    replicas = [("REPLICA", "ROLE", "TERM", "COMMIT", "APPLIED", "PID")]
    for replica in seen.replicas:
        facts = (replica.term, replica.commit_index, replica.applied_index, replica.pid)
        term, commit, applied, pid = ("-" if fact is None else str(fact) for fact in facts)
        replicas.append((replica.name, replica.role, term, commit, applied, pid))
    nodes = [("NODE", "READY", "ADDRESS", "PID", "LAUNCHER")]
    for node in seen.nodes:
        pid, launcher = (str(number or "-") for number in (node.pid, node.launcher_pid))
        nodes.append((node.name, node.ready, node.address, pid, launcher))
    title = f"cluster in {seen.directory}, API at {seen.api_url}"
    return "\n".join([title, "", *_aligned(replicas), "", *_aligned(nodes)])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) + 3 for column in zip(*rows, strict=True)]
    return [
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
