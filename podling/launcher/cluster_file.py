"""`cluster.yaml`: what the cluster consists of, and where each part listens.

It is written once, when the cluster is made, and read by every process of it. Ports and addresses
are chosen then and kept, so that kubeconfigs and bookmarks stay good over restarts.
"""

import dataclasses
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml

from podling.kube import names
from podling.launcher.errors import LauncherError
from podling.launcher.timings import PROFILES

VERSION = 1
LAUNCHER_SUFFIX = "-launcher"
NETWORK_PREFIX_MAX = 24
"""A smaller network cannot be parted into services, pods, nodes and replicas."""
PORT_MAX = 0xFFFF
REMEDY = "restore it, or start anew with: podling down --purge"


class ClusterFileError(LauncherError):
    """The file is missing, damaged or newer than this program; the text says what to do."""


@dataclass(frozen=True, slots=True)
class ReplicaEntry:
    """One control-plane replica."""

    name: str
    member_id: int
    """Its identity in Raft; never used again for another."""
    address: str
    api_port: int
    """HTTPS, for those who want just this replica."""
    peer_port: int
    """Raft over gRPC."""
    grpc_port: int
    """`podling.cluster.v1`, health and reflection."""


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """One node agent."""

    name: str
    address: str
    kubelet_port: int
    dns_port: int
    """53 where this user may bind it, so that a resolver file can name the address alone."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The content of `cluster.yaml`."""

    version: int
    cluster_id: int
    """Bound into every replica's data directory and every peer connection."""
    network: str
    """The cluster's own part of the loopback network, such as 127.23.0.0/16."""
    api_address: str
    """First address of the service range: what `kubernetes.default` resolves to as well."""
    api_port: int
    dns_address: str
    timings: str
    """A profile of `podling.launcher.timings`: `local` or `upstream`."""
    replicas: tuple[ReplicaEntry, ...]
    nodes: tuple[NodeEntry, ...]
    established: bool = False
    """Whether all was Ready once. From then on each replica has a log, and an empty data directory
    is a loss, which must not take part under the old name."""

    @property
    def api_url(self) -> str:
        return f"https://{self.api_address}:{self.api_port}"

    @property
    def service_network(self) -> str:
        """The lower quarter of the cluster's network."""
        return str(next(ipaddress.ip_network(self.network).subnets(prefixlen_diff=2)))

    @property
    def pod_network(self) -> str:
        """The second quarter; each node is assigned a /24 of it."""
        return str(list(ipaddress.ip_network(self.network).subnets(prefixlen_diff=2))[1])

    @property
    def process_names(self) -> tuple[str, ...]:
        """Every process of the cluster, in the order in which they are started."""
        return (
            *(replica.name for replica in self.replicas),
            *(launcher_of(node.name) for node in self.nodes),
            *(node.name for node in self.nodes),
        )

    def replica(self, name: str) -> ReplicaEntry:
        return _named(self.replicas, name)

    def node(self, name: str) -> NodeEntry:
        return _named(self.nodes, name)


def launcher_of(node: str) -> str:
    """The process that owns the pods of that node."""
    return f"{node}{LAUNCHER_SUFFIX}"


Entry = TypeVar("Entry", ReplicaEntry, NodeEntry)


def _named(entries: tuple[Entry, ...], name: str) -> Entry:
    for entry in entries:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in entries) or "none"
    raise ClusterFileError(f"the cluster has no {name!r}; it has: {known}")


def load(path: Path) -> Cluster:
    """Read the file; raises ClusterFileError."""
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ClusterFileError(
            f"no cluster in {path.parent} (there is no {path.name}); make one with: podling up"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterFileError(f"cannot read {path}: {error}; {REMEDY}") from error
    try:
        version = content["version"]
        if version != VERSION:
            raise ClusterFileError(
                f"{path} has version {version}, this Podling knows {VERSION}: use a matching one"
            )
        cluster = Cluster(
            **{
                **content,
                "replicas": tuple(ReplicaEntry(**entry) for entry in content["replicas"]),
                "nodes": tuple(NodeEntry(**entry) for entry in content["nodes"]),
            }
        )
        _check(cluster)
    except (KeyError, TypeError, ValueError) as error:
        raise ClusterFileError(f"{path} is damaged ({error}); {REMEDY}") from error
    return cluster


def _check(cluster: Cluster) -> None:
    """Raises ValueError: processes would die of it one by one, and less clearly."""
    entries: list[ReplicaEntry | NodeEntry] = [*cluster.replicas, *cluster.nodes]
    for part in (cluster, *entries):
        _check_fields(part)
    known = [entry.name for entry in entries]
    for name in known:
        # Names become names of files, too.
        if names.dns_subdomain_errors(name) or known.count(name) > 1:
            raise ValueError(f"{name!r} cannot be a name")
    if not cluster.replicas:
        raise ValueError("there is no replica")
    if cluster.timings not in PROFILES:
        raise ValueError(f"timings {cluster.timings!r} are none of {', '.join(sorted(PROFILES))}")
    if ipaddress.ip_network(cluster.network).prefixlen > NETWORK_PREFIX_MAX:
        raise ValueError(f"network {cluster.network} is too small")


def _check_fields(part: Cluster | ReplicaEntry | NodeEntry) -> None:
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.type in (int, str, bool) and type(value) is not field.type:
            raise ValueError(f"{field.name} cannot be {value!r}")
        if field.name.endswith("port") and not 0 < value <= PORT_MAX:
            raise ValueError(f"{field.name} cannot be {value!r}")
        if field.name.endswith("address"):
            ipaddress.ip_address(value)


def save(cluster: Cluster, path: Path) -> None:
    """Write the file in one step: readers see the old or the new one."""
    content = dataclasses.asdict(cluster) | {
        "replicas": [dataclasses.asdict(entry) for entry in cluster.replicas],
        "nodes": [dataclasses.asdict(entry) for entry in cluster.nodes],
    }
    write_private(path, yaml.safe_dump(content, sort_keys=False), durable=True)


def write_private(path: Path, text: str | bytes, *, durable: bool = False) -> None:
    """Write a whole file that only its owner can read, in one step; `durable`: also on disk."""
    data = text.encode() if isinstance(text, str) else text
    beside = path.with_name(f".{path.name}.new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    beside.replace(path)
