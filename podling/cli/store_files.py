"""`podling store inspect`, `snapshot` and `recover`: a member's files, with etcd's flag names.

Each is small; what it does lives in `controlplane.store.offline`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from podling.controlplane.store.offline import (
    force_new_cluster,
    inspection,
    inspection_text,
    restore,
    saved_snapshot,
)
from podling.controlplane.store.offline.entry_text import describe_configuration
from podling.controlplane.store.offline.errors import OfflineError
from podling.controlplane.store.offline.inspection_text import Wanted
from podling.controlplane.store.offline.restore import RestoreRequest
from podling.controlplane.store.offline.saved_snapshot import SnapshotStatus
from podling.controlplane.wal.disk import OsDisk
from podling.controlplane.wal.errors import DataDirectoryError
from podling.launcher.errors import LauncherError
from podling.launcher.store import member_urls, snapshot_download
from podling.launcher.store.snapshot_download import Endpoint

DIRECTORY = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@contextmanager
def _told() -> Iterator[None]:
    """What cannot be done is told in a line."""
    try:
        yield
    except (OfflineError, DataDirectoryError, LauncherError) as error:
        raise click.ClickException(str(error)) from None


def _entry_range(_: click.Context, __: click.Parameter, value: str | None) -> Wanted:
    """FROM:TO, either of which may be left out; or one index."""
    if value is None:
        return None
    first, colon, last = value.partition(":")
    try:
        start = int(first or 0)
        return start, int(last or 1 << 64) if colon else start
    except ValueError:
        raise click.BadParameter(f"{value!r} must be an index, or two as in 100:200") from None


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.option(
    "--entries",
    metavar="FROM:TO",
    callback=_entry_range,
    help="List the entries of the log between these indexes.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def inspect(context: click.Context, directory: Path, entries: Wanted, output: str) -> None:
    """Tell what the data directory DIRECTORY holds, and what is wrong with it.

    Changes nothing, and takes no lock: the member may run. Ends with 1 if no member would start on
    the directory.
    """
    with _told():
        found = inspection.inspect(OsDisk(), directory)
    if output == "json":
        click.echo(json.dumps(inspection_text.as_json(found, entries), indent=2))
    else:
        for line in inspection_text.lines(found, entries):
            click.echo(line)
    context.exit(0 if found.starts else 1)


@click.group()
def snapshot() -> None:
    """Save the state of a store to a file, look at it, make a new cluster of it."""


@snapshot.command()
@click.argument("file", type=FILE)
@click.option(
    "--endpoints",
    default="127.0.0.1:2379",
    show_default=True,
    envvar="ETCDCTL_ENDPOINTS",
    help="Client URL of the one member to ask.",
)
@click.option("--cacert", type=EXISTING_FILE, envvar="ETCDCTL_CACERT", help="Authority, PEM.")
@click.option("--cert", type=EXISTING_FILE, envvar="ETCDCTL_CERT", help="Certificate, PEM.")
@click.option("--key", type=EXISTING_FILE, envvar="ETCDCTL_KEY", help="Its key, PEM.")
@click.option("--user", default="", envvar="ETCDCTL_USER", help="NAME or NAME:PASSWORD.")
@click.option("--password", default="", envvar="ETCDCTL_PASSWORD", help="The user's.")
@click.option(
    "--command-timeout", default=30.0, show_default=True, help="Seconds without an answer."
)
def save(file: Path, endpoints: str, command_timeout: float, **access: Any) -> None:
    """Save the state that a member has now to FILE."""
    with _told():
        endpoint = _endpoint(endpoints, **access)
        size = snapshot_download.save(OsDisk(), endpoint, file, command_timeout)
    click.echo(f"Snapshot saved at {file} ({_bytes(size)})")


def _endpoint(
    endpoints: str,
    cacert: Path | None,
    cert: Path | None,
    key: Path | None,
    user: str,
    password: str,
) -> Endpoint:
    addresses = [each.strip() for each in endpoints.split(",") if each.strip()]
    if len(addresses) != 1:
        raise OfflineError(
            f"snapshot must be requested to one selected node, not multiple {addresses}"
        )
    (address,) = addresses
    secure = cacert is not None or address.startswith("https://")
    if "://" in address:
        (url,) = member_urls.parse("endpoints", address, sockets=True)
        address, secure = url.address, secure or url.secure
    if bool(cert) != bool(key):
        raise OfflineError("--cert and --key must be given together")
    name, colon, rest = user.partition(":")
    if name and not (colon or password):
        password = click.prompt("Password", hide_input=True, err=True)
    return Endpoint(address, secure, cacert, cert, key, name, rest if colon else password)


@snapshot.command()
@click.argument("file", type=EXISTING_FILE)
@click.option(
    "-w",
    "--write-out",
    type=click.Choice(["simple", "table", "json", "fields"]),
    default="simple",
    show_default=True,
)
def status(file: Path, write_out: str) -> None:
    """Check the saved FILE and tell hash, revision, number of keys and size."""
    with _told():
        found = saved_snapshot.status(OsDisk(), file)
    for line in _STATUS_FORMATS[write_out](found):
        click.echo(line)


@snapshot.command("restore")
@click.argument("file", type=EXISTING_FILE)
@click.option("--data-dir", type=DIRECTORY, help="Where to make it; NAME.podling if not given.")
@click.option("--name", default="default", show_default=True, help="Of this member.")
@click.option(
    "--initial-cluster",
    default="default=http://localhost:2380",
    show_default=True,
    help="All members of the new cluster: NAME=PEER-URL,...",
)
@click.option("--initial-cluster-token", default="etcd-cluster", show_default=True)
@click.option(
    "--initial-advertise-peer-urls",
    default="http://localhost:2380",
    show_default=True,
    help="This member's, as --initial-cluster has them.",
)
@click.option("--skip-hash-check", is_flag=True, help="Take a file without a hash at its end.")
@click.option("--bump-revision", default=0, help="Add so much to the revision.")
@click.option(
    "--mark-compacted", is_flag=True, help="Compact at the new revision; with --bump-revision."
)
def restore_command(
    file: Path,
    data_dir: Path | None,
    name: str,
    initial_cluster: str,
    initial_advertise_peer_urls: str,
    **options: Any,
) -> None:
    """Make the data directory of a member of a new cluster, which begins with the saved FILE.

    To be done for each member, with the same FILE and the same --initial-cluster.
    """
    with _told():
        cluster = member_urls.parse_cluster("initial-cluster", initial_cluster)
        peers = member_urls.parse("initial-advertise-peer-urls", initial_advertise_peer_urls)
        request = RestoreRequest(
            snapshot=file,
            data_dir=data_dir or Path(f"{name}.podling"),
            name=name,
            cluster={member: [url.text for url in urls] for member, urls in cluster.items()},
            token=options["initial_cluster_token"],
            peer_urls=[url.text for url in peers],
            check_hash=not options["skip_hash_check"],
            bump_revision=options["bump_revision"],
            mark_compacted=options["mark_compacted"],
        )
        restored = restore.restore(OsDisk(), request)
    click.echo(
        f"restored {request.data_dir}: {restored.identity}, revision {restored.revision}, "
        f"{restored.keys} keys"
    )


@click.command()
@click.argument("directory", type=DIRECTORY, required=False)
@click.option("--data-dir", type=DIRECTORY, help="The same as DIRECTORY.")
@click.option(
    "--force-new-cluster", is_flag=True, help="Do it; without this, only tell what would be done."
)
@click.pass_context
def recover(
    context: click.Context, directory: Path | None, data_dir: Path | None, force_new_cluster: bool
) -> None:
    """Make a cluster of one of the stopped member whose data are in DIRECTORY.

    For when the majority of a cluster is lost for good. Take the member with the longest log (see
    `podling store inspect`): what none of its entries says is lost. The other members must never
    be started again; add new ones, with empty directories.
    """
    path = data_dir or directory
    if path is None or (data_dir and directory and data_dir != directory):
        raise click.UsageError("name one data directory")
    with _told():
        decided = _plan(path)
        if not decided.is_done and force_new_cluster:
            _carry_out(decided)
    if decided.is_done:
        click.echo(f"{path} is a cluster of {decided.identity} alone already: nothing to do")
    elif force_new_cluster:
        click.echo("done: start the member, then add new ones to it")
    else:
        click.echo("nothing was changed: stop the member, then add --force-new-cluster")
        context.exit(1)


def _plan(path: Path) -> force_new_cluster.Plan:
    decided = force_new_cluster.plan(OsDisk(), path)
    if not decided.is_done:
        kept = decided.last_index - decided.commit
        click.echo(f"{path}: {decided.identity}")
        click.echo(f"  members now:   {describe_configuration(decided.before)}")
        click.echo(f"  members then:  {describe_configuration(decided.after)}")
        click.echo(f"  entries:       {decided.last_index}, all are kept")
        click.echo(f"                 {kept} of them are not known to be committed, and will be")
    return decided


def _carry_out(decided: force_new_cluster.Plan) -> None:
    force_new_cluster.carry_out(OsDisk(), decided)


def _fields(found: SnapshotStatus) -> list[tuple[str, str]]:
    return [
        ("HASH", f"{found.hash:x}"),
        ("REVISION", str(found.revision)),
        ("TOTAL KEYS", str(found.total_key)),
        ("TOTAL SIZE", _bytes(found.total_size)),
    ]


def _simple(found: SnapshotStatus) -> Sequence[str]:
    return [", ".join(value for _, value in _fields(found))]


def _table(found: SnapshotStatus) -> Sequence[str]:
    widths = [max(len(name), len(value)) for name, value in _fields(found)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    pairs = list(zip(_fields(found), widths, strict=True))
    heads = "|" + "|".join(f" {name:^{width}} " for (name, _), width in pairs) + "|"
    values = "|" + "|".join(f" {value:>{width}} " for (_, value), width in pairs) + "|"
    return [rule, heads, rule, values, rule]


def _json(found: SnapshotStatus) -> Sequence[str]:
    values = {
        "hash": found.hash,
        "revision": found.revision,
        "totalKey": found.total_key,
        "totalSize": found.total_size,
    }
    return [json.dumps(values, separators=(",", ":"))]


def _field_lines(found: SnapshotStatus) -> Sequence[str]:
    return [
        f'"Hash" : {found.hash}',
        f'"Revision" : {found.revision}',
        f'"Keys" : {found.total_key}',
        f'"Size" : {found.total_size}',
    ]


_STATUS_FORMATS: dict[str, Callable[[SnapshotStatus], Sequence[str]]] = {
    "simple": _simple,
    "table": _table,
    "json": _json,
    "fields": _field_lines,
}


def _bytes(size: float) -> str:
    """As etcdctl tells sizes: 820 B, 2.1 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.1f} {unit}" if size < 10 and unit != "B" else f"{size:.0f} {unit}"
