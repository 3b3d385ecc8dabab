"""Chooses a cluster's addresses and ports on this machine, and proves them free by binding.

On Linux all of 127.0.0.0/8 is the machine's own, so each cluster gets a /16 of it:

    127.x.0.1          the API server, one listener that all replicas share; its port is the lock
                       that keeps two clusters from taking the same network
    127.x.0.10         cluster DNS; the rest of 127.x.0.0/18 are Services
    127.x.64.0/18      pods, a /24 for each node
    127.x.254.n        node n
    127.x.255.n        replica n
"""

import random
import socket
from collections.abc import Callable

from podling.launcher.cluster_file import VERSION, Cluster, NodeEntry, ReplicaEntry
from podling.launcher.errors import LauncherError

API_PORT = 6443
PEER_PORT = 2380
GRPC_PORT = 6444
KUBELET_PORT = 10250
DNS_PORT = 53
DNS_PORT_UNPRIVILEGED = 1053
BACKLOG = 1024
ATTEMPTS = 64


class AddressError(LauncherError):
    """An address that the cluster needs is taken; the text says which, and what to do."""


def design(
    replicas: int, nodes: int, timings: str, dice: random.Random, new_id: Callable[[], int]
) -> tuple[Cluster, socket.socket]:
    """A new cluster on a network of its own, and its API listener, bound already."""
    for _ in range(ATTEMPTS):
        prefix = f"127.{dice.randrange(2, 255)}"
        listener = _try_listen(f"{prefix}.0.1", API_PORT)
        if listener is not None:
            break
    else:
        raise AddressError(
            f"no free network: port {API_PORT} is taken in every 127.x.0.0/16 that was tried; "
            "a server that listens on all addresses of this machine blocks it"
        )
    cluster = Cluster(
        version=VERSION,
        cluster_id=new_id(),
        network=f"{prefix}.0.0/16",
        api_address=f"{prefix}.0.1",
        api_port=API_PORT,
        dns_address=f"{prefix}.0.10",
        timings=timings,
        replicas=tuple(
            _replica(f"replica-{n}", f"{prefix}.255.{n}", new_id()) for n in range(1, replicas + 1)
        ),
        nodes=tuple(_node(f"node-{n}", f"{prefix}.254.{n}") for n in range(1, nodes + 1)),
    )
    return cluster, listener


def listen(cluster: Cluster) -> socket.socket:
    """The API listener of a cluster that has its addresses already; raises AddressError."""
    listener = _try_listen(cluster.api_address, cluster.api_port)
    if listener is None:
        raise AddressError(
            f"{cluster.api_address}:{cluster.api_port}, where this cluster's API server listens, "
            "is in use by another program: end that one, or make another cluster with --dir"
        )
    return listener


def _replica(name: str, address: str, member_id: int) -> ReplicaEntry:
    return ReplicaEntry(
        name=name,
        member_id=member_id,
        address=address,
        api_port=_free_port(address, API_PORT),
        peer_port=_free_port(address, PEER_PORT),
        grpc_port=_free_port(address, GRPC_PORT),
    )


def _node(name: str, address: str) -> NodeEntry:
    return NodeEntry(
        name=name,
        address=address,
        kubelet_port=_free_port(address, KUBELET_PORT),
        dns_port=DNS_PORT if _is_free(address, DNS_PORT) else DNS_PORT_UNPRIVILEGED,
    )


def _try_listen(address: str, port: int) -> socket.socket | None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        return None
    listener.setblocking(False)
    return listener


def _is_free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _free_port(address: str, preferred: int) -> int:
    if _is_free(address, preferred):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
    return port
