"""Members of a store on real replicas: real disks, gRPC between them, all in the test's process."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport, GrpcTransportConfig
from podling.controlplane.replica.peers.joining import find_cluster
from podling.controlplane.store import errors, initial_check
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.etcd.grpc_listener import GrpcListener, ListenerConfig
from podling.controlplane.store.etcd.server_certificate import ServerCertificate
from podling.controlplane.store.machine import commands
from podling.controlplane.store.store_server import StoreServer, StoreServerConfig
from podling.controlplane.store.token_providers import Signer
from podling.controlplane.wal.disk import OsDisk
from tests.ports import free_ports
from tests.waiting import POLL_SECONDS, until

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds until something that never comes is a failure."""

ELECTION_TIMEOUT = 2.0
"""Seconds: much longer than what a busy machine keeps a leader from its work. A leader that a test
has seen leads on, until the test itself ends that."""

QUICK = 0.3
"""Election timeout for tests that wait for a leader to be missed. Others may be elected then."""

CLUSTER = 0xC1


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer, of a member that gives up soon. To be done twice at will."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        try:
            return await ask()
        except (errors.NoLeader, errors.Timeout):
            if loop.time() >= deadline:
                raise
            await asyncio.sleep(POLL_SECONDS)


class Clock:
    """What leases and tokens go by: the loop's time, or that of a test that holds it."""

    def __init__(self) -> None:
        self._held: float | None = None

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() if self._held is None else self._held

    def hold(self) -> None:
        """Let no time pass by itself any more."""
        self._held = self()

    def advance(self, seconds: float) -> None:
        """Let so much time pass at once, on a clock that is held."""
        assert self._held is not None
        self._held += seconds


class Members:
    """The members of one cluster, started and stopped one by one."""

    def __init__(self, folder: Path) -> None:
        self.servers: list[StoreServer] = []
        """Those that run."""
        self.clock = Clock()
        self._folder = folder
        self._configs: dict[StoreServer, StoreServerConfig] = {}
        self._deaths: list[str] = []
        self._signers: dict[int, Signer] = {}
        self.transports: dict[StoreServer, GrpcTransport] = {}

    async def start(
        self,
        count: int,
        store: StoreConfig | None = None,
        *,
        listen: bool = False,
        tls: ServerCertificate | None = None,
        signers: Sequence[Signer] = (),
        election_timeout: float = ELECTION_TIMEOUT,
    ) -> list[StoreServer]:
        """Start a cluster; with `listen` it serves gRPC clients too. With `signers`, one for each
        member, tokens are signed.

        All members are connected and know the leader when this returns. Requests have `PATIENCE`
        unless `store` has a time for them.
        """
        self._signers = dict(enumerate(signers, start=1))
        members = {
            number: Member(f"replica-{number}", (f"http://127.0.0.1:{port}",))
            for number, port in enumerate(free_ports(count), start=1)
        }
        for number, member in members.items():
            listener = ListenerConfig("127.0.0.1:0", CLUSTER, number, tls=tls, leader_timeout=0.5)
            config = StoreServerConfig(
                self._replica_config(number, members, member.name, election_timeout),
                store or StoreConfig(min_lease_ttl=1, housekeeping_interval=0.05, bcrypt_cost=4),
                listener if listen else None,
            )
            await self._start(config)
        await self.servers[0].replica.read_index(timeout=PATIENCE)
        await until(lambda: all(map(self._is_met, self.servers)), "all have met")
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

    async def renewed(self, lease_id: int) -> None:
        """Wait until a lease has all of its time again, on a clock that is held."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        store = self.servers[0].store
        while (found := await store.lease_time_to_live(lease_id)).ttl < found.granted_ttl:
            assert loop.time() < deadline, f"nobody renews lease {lease_id:x}: {found}"
            await asyncio.sleep(POLL_SECONDS)

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
                self._replica_config(number, members, name, QUICK, join=True),
                StoreConfig(min_lease_ttl=1, housekeeping_interval=0.05),
                ListenerConfig("127.0.0.1:0", CLUSTER, number, leader_timeout=0.5),
            )
        )

    async def removed(self, server: StoreServer) -> None:
        """Wait until a member that was removed has ended itself, and clear it away."""
        await until(lambda: self._deaths, "the removed member ends")
        self._deaths.clear()
        await self.stop(server)

    def _is_met(self, server: StoreServer) -> bool:
        """Whether all others that run are connected with this one, and it knows who leads."""
        status = server.replica.status()
        return bool(status.leader_id) and len(status.connected) == len(self.servers) - 1

    async def listen_too(self, address: str) -> None:
        """Let the first member listen on one more address."""
        config = ListenerConfig(address, CLUSTER, 1)
        await GrpcListener(config, self.servers[0].store).start()

    async def _start(self, config: StoreServerConfig) -> StoreServer:
        replica = config.replica
        dice = random.Random(replica.member_id)
        transport = GrpcTransport(
            GrpcTransportConfig(replica.cluster_id, replica.member_id, replica.members, tls=None),
            dice,
        )
        store = config.store
        if store.request_timeout == StoreConfig().request_timeout:
            store = replace(store, request_timeout=PATIENCE)
        server = StoreServer(
            replace(config, store=store),
            disk=OsDisk(),
            transport=transport,
            dice=dice,
            new_id=lambda: dice.getrandbits(64),
            fatal=lambda name, error: self._deaths.append(f"{name}: {error!r}"),
            signer=self._signers.get(replica.member_id),
            now=self.clock,
        )
        transport.answering = initial_check.answering(server.store)
        self.transports[server] = transport
        self._configs[server] = config
        self.servers.append(server)
        await server.start()
        return server

    def _replica_config(
        self,
        number: int,
        members: dict[int, Member],
        name: str,
        election_timeout: float,
        *,
        join: bool = False,
    ) -> ReplicaConfig:
        return ReplicaConfig(
            name=name,
            member_id=number,
            cluster_id=CLUSTER,
            members=members,
            data_dir=self._folder / name,
            heartbeat_interval=0.05,
            election_timeout=election_timeout,
            request_timeout=PATIENCE,
            snapshot_count=200,
            catch_up_entries=50,
            join=join,
        )
