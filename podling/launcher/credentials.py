"""The identities of a cluster: which certificates there are, and the administrator's kubeconfig."""

from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from podling.aiokit.clock import WallClock
from podling.launcher.certificates import Authority, Subject
from podling.launcher.cluster_file import Cluster, write_private
from podling.launcher.layout import Layout

ADMIN = "admin"
SCHEDULER = "scheduler"
CONTROLLERS = "controller-manager"
KUBELET_CLIENT = "apiserver-kubelet-client"
MASTERS = "system:masters"
REPLICAS = "podling:replicas"

API_HOST_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


def ensure(layout: Layout, cluster: Cluster, clock: WallClock, say: Callable[[str], None]) -> None:
    """Write every certificate that is missing, and the kubeconfig; keep those that are good.

    All can be made again from the authority, so what is damaged or somebody else's is replaced,
    and `say` told of it. Raises CredentialsError.
    """
    remedy = "start anew with: podling down --purge"
    authority = Authority.load_or_create(
        "podling-ca", layout.certificate("ca"), layout.key("ca"), clock, remedy
    )
    for name, subject in _identities(cluster):
        certificate = layout.certificate(name)
        reason = authority.issue_unless_good(subject, certificate, layout.key(name))
        if reason:
            say(f"replaced the certificate {certificate}, which could not be used: {reason}")
    if not _is_kubeconfig(layout.kubeconfig):
        if layout.kubeconfig.exists():
            say(f"replacing {layout.kubeconfig}, which is damaged")
        write_private(layout.kubeconfig, yaml.safe_dump(_kubeconfig(layout, cluster)))


def _is_kubeconfig(path: Path) -> bool:
    """Whether it can be read; what else its owner writes into it is kept."""
    try:
        content = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError):
        return False
    return isinstance(content, dict) and content.get("kind") == "Config"


def _identities(cluster: Cluster) -> Iterator[tuple[str, Subject]]:
    yield ADMIN, Subject("kubernetes-admin", [MASTERS])
    yield SCHEDULER, Subject("system:kube-scheduler")
    yield CONTROLLERS, Subject("system:kube-controller-manager")
    yield KUBELET_CLIENT, Subject("kube-apiserver-kubelet-client", [MASTERS])
    for replica in cluster.replicas:
        addresses = [replica.address, cluster.api_address, "127.0.0.1"]
        names = [replica.name, *API_HOST_NAMES]
        yield replica.name, Subject(replica.name, [REPLICAS], addresses, names)
    for node in cluster.nodes:
        yield (
            node.name,
            Subject(f"system:node:{node.name}", ["system:nodes"], [node.address], [node.name]),
        )


def _kubeconfig(layout: Layout, cluster: Cluster) -> dict[str, object]:
    files = (layout.certificate("ca"), layout.certificate(ADMIN), layout.key(ADMIN))
    # Relative paths in a kubeconfig are meant from its own folder, so D can be moved.
    authority, certificate, key = (str(file.relative_to(layout.root)) for file in files)
    return kubeconfig(cluster.api_url, authority, certificate, key)


def kubeconfig(server: str, authority: str, certificate: str, key: str) -> dict[str, object]:
    """The administrator's way to an API server; the last three are paths of PEM files."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "podling",
                "cluster": {"server": server, "certificate-authority": authority},
            }
        ],
        "users": [
            {
                "name": "podling-admin",
                "user": {"client-certificate": certificate, "client-key": key},
            }
        ],
        "contexts": [
            {"name": "podling", "context": {"cluster": "podling", "user": "podling-admin"}}
        ],
        "current-context": "podling",
    }
