"""`podling apiserver`: the API server alone, with kube-apiserver's flags."""

import importlib
import os
import sys
from typing import Any

import click

from podling.launcher.apiserver.apiserver_settings import ApiServerFlags, settings
from podling.launcher.errors import LauncherError

PROCESS = "podling.launcher.apiserver.apiserver_process"


@click.command()
@click.option(
    "--etcd-servers", required=True, help="URLs of the members of an etcd, or of `podling store`."
)
@click.option("--etcd-cafile", default="", help="Authority of etcd's certificates, PEM.")
@click.option("--etcd-certfile", default="", help="Certificate to show to etcd.")
@click.option("--etcd-keyfile", default="", help="Its key.")
@click.option(
    "--etcd-compaction-interval", default="5m", show_default=True, help="History kept; 0: all."
)
@click.option("--bind-address", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--secure-port", default=6443, show_default=True, help="HTTPS; there is no other.")
@click.option(
    "--advertise-address", default="", help="Where the cluster finds it; --bind-address if not set."
)
@click.option("--tls-cert-file", default="", help="Certificate of the server; else one is made.")
@click.option("--tls-private-key-file", default="", help="Its key.")
@click.option(
    "--client-ca-file", default="", help="Authority of the users' certificates; else one is made."
)
@click.option(
    "--cert-dir",
    default="apiserver.podling",
    show_default=True,
    help="Folder of what is made, with a kubeconfig for the administrator.",
)
@click.option("--kubelet-certificate-authority", default="", help="Of the node agents.")
@click.option("--kubelet-client-certificate", default="", help="To show to node agents.")
@click.option("--kubelet-client-key", default="", help="Its key.")
@click.option(
    "--service-cluster-ip-range", default="10.0.0.0/24", show_default=True, help="Of Services."
)
@click.option("--event-ttl", default="1h", show_default=True, help="How long Events are kept.")
@click.option(
    "--default-not-ready-toleration-seconds",
    default=300,
    show_default=True,
    help="How long pods stay on a node that is not ready.",
)
@click.option(
    "--default-unreachable-toleration-seconds",
    default=300,
    show_default=True,
    help="How long pods stay on a node that is unreachable.",
)
def apiserver(**values: Any) -> None:
    """Run an API server in the foreground, on a real etcd or on `podling store`."""
    try:
        checked = settings(ApiServerFlags(**values))
        # What goes wrong with a connection is told by us, once, and not at every attempt.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        sys.exit(importlib.import_module(PROCESS).run(checked))
    except LauncherError as error:
        raise click.ClickException(str(error)) from None
