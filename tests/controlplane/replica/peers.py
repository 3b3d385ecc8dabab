"""Certificates and addresses of replicas that meet over gRPC on loopback."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from podling.aiokit.clock import system_wall_clock
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.grpc_transport import GrpcTransport, GrpcTransportConfig
from podling.controlplane.replica.membership import Member
from podling.controlplane.replica.peer_security import PeerTls
from podling.launcher.certificates import Authority, Subject
from tests.ports import free_ports


@dataclass
class Peers:
    """Members 1 to 3 with certificates of one authority."""

    members: dict[int, Member]
    issue: Callable[[str], PeerTls]

    @classmethod
    def create(cls, folder: Path, size: int = 3) -> "Peers":
        authority = Authority.create("test-ca", system_wall_clock)
        folder.mkdir(exist_ok=True)
        authority.save(folder / "ca.crt", folder / "ca.key")

        def issue(name: str) -> PeerTls:
            subject = Subject(name, ["podling:replicas"], host_names=[name])
            files = folder / f"{name}.crt", folder / f"{name}.key"
            authority.issue(subject, *files)
            return PeerTls.from_files(folder / "ca.crt", *files)

        members = {
            number: Member(f"replica-{number}", (f"https://127.0.0.1:{port}",))
            for number, port in enumerate(free_ports(size), start=1)
        }
        return cls(members, issue)

    def transport(self, config: ReplicaConfig) -> GrpcTransport:
        """The transport of a replica that is who it says it is."""
        return self.make(config.member_id, self.issue(config.name))

    def make(self, number: int, tls: PeerTls | None, cluster: int = 0xC1) -> GrpcTransport:
        config = GrpcTransportConfig(cluster, number, self.members, tls)
        return GrpcTransport(config, random.Random(number))
