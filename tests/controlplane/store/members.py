"""Members of a store on real replicas: real disks, gRPC between them, all in the test's process."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport, GrpcTransportConfig
from podling.controlplane.replica.peers.joining import find_cluster
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.etcd.grpc_listener import GrpcListener, ListenerConfig
from podling.controlplane.store.etcd.server_certificate import ServerCertificate
from podling.controlplane.store.machine import commands
from podling.controlplane.store.store_server import StoreServer, StoreServerConfig
from podling.controlplane.store.token_providers import Signer
from podling.controlplane.wal.disk import OsDisk
from tests.ports import free_ports
from tests.waiting import until

PATIENCE = 15.0
"""Seconds until something that never comes is a failure."""

CLUSTER = 0xC1


class Members:
    """The members of one cluster, started and stopped one by one."""

    def __init__(self, folder: Path) -> None:
        self.servers: list[StoreServer] = []
        """Those that run."""
        self._folder = folder
        self._configs: dict[StoreServer, StoreServerConfig] = {}
        self._deaths: list[str] = []
        self._signers: dict[int, Signer] = {}

    async def start(
        self,
        count: int,
        store: StoreConfig | None = None,
        *,
        listen: bool = False,
        tls: ServerCertificate | None = None,
        signers: Sequence[Signer] = (),
    ) -> list[StoreServer]:
        """Start a cluster; with `listen` it serves gRPC clients too. With `signers`, one for each
        member, tokens are signed."""
        self._signers = dict(enumerate(signers, start=1))
        members = {
            number: Member(f"replica-{number}", (f"http://127.0.0.1:{port}",))
            for number, port in enumerate(free_ports(count), start=1)
        }
        for number, member in members.items():
            listener = ListenerConfig("127.0.0.1:0", CLUSTER, number, tls=tls, leader_timeout=0.5)
            config = StoreServerConfig(
                self._replica_config(number, members, member.name),
                store or StoreConfig(min_lease_ttl=1, housekeeping_interval=0.05, bcrypt_cost=4),
                listener if listen else None,
            )
            await self._start(config)
        await self.servers[0].store.linearize()
        return list(self.servers)

    def endpoint(self, server: StoreServer) -> str:
        """Where its gRPC clients reach it."""
        assert server.listener is not None
        return f"127.0.0.1:{server.listener.port}"

    @property
    def endpoints(self) -> str:
        """Those of all members that run, parted by commas."""
        return ",".join(self.endpoint(server) for server in self.servers)

    async def upgraded(self) -> None:
        """Wait until the members have found that all of them know the newest commands."""
        await until(
            lambda: all(
                server.store.status().cluster_version == commands.VERSION for server in self.servers
            ),
            "the newest commands may be used",
        )

    async def watched(self, watchers: int) -> None:
        """Wait until clients have begun this many watches: what comes next, these are told."""
        await until(
            lambda: sum(server.store.status().watchers for server in self.servers) == watchers,
            f"{watchers} watches are begun",
            seconds=PATIENCE,
        )

    async def leader(self) -> StoreServer:
        async with asyncio.timeout(PATIENCE):
            leader = await self.servers[0].replica.leader_known()
        (found,) = [
            server for server in self.servers if self._configs[server].replica.member_id == leader
        ]
        return found

    async def stop(self, server: StoreServer) -> None:
        self.servers.remove(server)
        await server.stop()
        assert not self._deaths, f"members died: {self._deaths}"

    async def restart(self, server: StoreServer, store: StoreConfig | None = None) -> StoreServer:
        """Start a stopped member again, on the same disk."""
        config = self._configs[server]
        return await self._start(replace(config, store=store or config.store))

    async def join(self, name: str, peer_url: str) -> StoreServer:
        """Start a member that was added with this peer URL; it serves gRPC clients too."""
        known = self._configs[self.servers[0]].replica.members.values()
        found = await find_cluster(
            [url for each in known for url in each.peer_urls], [peer_url], None
        )
        number, members = found.member_id, dict(found.membership.members)
        return await self._start(
            StoreServerConfig(
                self._replica_config(number, members, name, join=True),
                StoreConfig(min_lease_ttl=1, housekeeping_interval=0.05),
                ListenerConfig("127.0.0.1:0", CLUSTER, number, leader_timeout=0.5),
            )
        )

    async def removed(self, server: StoreServer) -> None:
        """Wait until a member that was removed has ended itself, and clear it away."""
        await until(lambda: self._deaths, "the removed member ends")
        self._deaths.clear()
        await self.stop(server)

    async def listen_too(self, address: str) -> None:
        """Let the first member listen on one more address."""
        config = ListenerConfig(address, CLUSTER, 1)
        await GrpcListener(config, self.servers[0].store).start()

    async def _start(self, config: StoreServerConfig) -> StoreServer:
        replica = config.replica
        transport = GrpcTransportConfig(
            replica.cluster_id, replica.member_id, replica.members, tls=None
        )
        dice = random.Random(replica.member_id)
        server = StoreServer(
            config,
            disk=OsDisk(),
            transport=GrpcTransport(transport, dice),
            dice=dice,
            new_id=lambda: dice.getrandbits(64),
            fatal=lambda name, error: self._deaths.append(f"{name}: {error!r}"),
            signer=self._signers.get(replica.member_id),
        )
        self._configs[server] = config
        self.servers.append(server)
        await server.start()
        return server

    def _replica_config(
        self, number: int, members: dict[int, Member], name: str, *, join: bool = False
    ) -> ReplicaConfig:
        return ReplicaConfig(
            name=name,
            member_id=number,
            cluster_id=CLUSTER,
            members=members,
            data_dir=self._folder / name,
            heartbeat_interval=0.05,
            election_timeout=0.3,
            snapshot_count=200,
            catch_up_entries=50,
            join=join,
        )
