"""Certificates and addresses of replicas that meet over gRPC on loopback."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport, GrpcTransportConfig
from podling.controlplane.replica.peers.peer_security import PeerTls
from podling.launcher.certificates import Authority, Subject
from tests.ports import free_ports


@dataclass
class Peers:
    """Members 1 to 3 with certificates of one authority."""

    members: dict[int, Member]
    issue: Callable[[str], PeerTls]
    by_host: bool = False
    """Certificates are for the host, not for names of members."""

    @classmethod
    def create(cls, folder: Path, size: int = 3, *, by_host: bool = False) -> "Peers":
        authority = Authority.create("test-ca", system_wall_clock)
        folder.mkdir(exist_ok=True)
        authority.save(folder / "ca.crt", folder / "ca.key")

        def issue(name: str) -> PeerTls:
            addresses, names = (["127.0.0.1"], []) if by_host else ([], [name])
            subject = Subject(name, ["podling:replicas"], addresses, names)
            files = folder / f"{name}.crt", folder / f"{name}.key"
            authority.issue(subject, *files)
            return PeerTls.from_files(folder / "ca.crt", *files, by_host=by_host)

        members = {
            number: Member(f"replica-{number}", (f"https://127.0.0.1:{port}",))
            for number, port in enumerate(free_ports(size), start=1)
        }
        return cls(members, issue, by_host)

    def transport(self, config: ReplicaConfig) -> GrpcTransport:
        """The transport of a replica that is who it says it is."""
        members = {**config.members}
        transport = GrpcTransportConfig(
            config.cluster_id, config.member_id, members, self.issue(config.name)
        )
        return GrpcTransport(transport, random.Random(config.member_id))

    def make(self, number: int, tls: PeerTls | None, cluster: int = 0xC1) -> GrpcTransport:
        config = GrpcTransportConfig(cluster, number, self.members, tls)
        return GrpcTransport(config, random.Random(number))
