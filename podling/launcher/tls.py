"""TLS towards the cluster's API servers, as one of its identities."""

import ssl

from podling.kube.http_transport import HttpTransport
from podling.launcher.cluster_file import Cluster
from podling.launcher.layout import Layout


def client_context(layout: Layout, identity: str) -> ssl.SSLContext:
    """Trusts the cluster's authority, and shows the certificate of `identity`."""
    context = ssl.create_default_context(cafile=layout.certificate("ca"))
    context.load_cert_chain(layout.certificate(identity), layout.key(identity))
    return context


def replicas_transport(
    layout: Layout, cluster: Cluster, identity: str, first: int = 0
) -> HttpTransport:
    """To whichever replica answers, each at its own address.

    Numbered clients (`first`) begin at different replicas, so that each has its share of them.
    """
    endpoints = [f"https://{r.address}:{r.api_port}" for r in cluster.replicas]
    start = first % len(endpoints)
    rotated = [*endpoints[start:], *endpoints[:start]]
    return HttpTransport(rotated, client_context(layout, identity))
