"""The wiring of one member: replica, state machine, store and, if asked for, its gRPC face.

    server = StoreServer(
        StoreServerConfig(replica=ReplicaConfig(...), listener=None),
        disk=OsDisk(),
        transport=...,                  # reaches the other members
        dice=ids.system_dice(),
        new_id=ids.random_u64,
        fatal=stop.fail,
    )
    await server.start()
    storage = EmbeddedStorage(server.store)

The store is usable once `start` has returned; reads and writes wait for a leader themselves.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from podling.aiokit.tasks import OnDeath
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.replica import Replica
from podling.controlplane.replica.transport import Transport
from podling.controlplane.store.config import StoreConfig
from podling.controlplane.store.etcd.grpc_listener import GrpcListener, ListenerConfig
from podling.controlplane.store.machine.state_machine import Now, StoreStateMachine
from podling.controlplane.store.store import Store
from podling.controlplane.store.token_providers import Signer
from podling.controlplane.wal.disk import Disk


@dataclass(frozen=True, slots=True)
class StoreServerConfig:
    """What one member is told."""

    replica: ReplicaConfig
    store: StoreConfig = field(default_factory=StoreConfig)
    listener: ListenerConfig | None = None
    """None: only this process uses the store."""


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class StoreServer:
    """A component. A simulation derives its own, to look on and to plant bugs."""

    machine_type: ClassVar[type[StoreStateMachine]] = StoreStateMachine
    store_type: ClassVar[type[Store]] = Store

    def __init__(
        self,
        config: StoreServerConfig,
        *,
        disk: Disk,
        transport: Transport,
        dice: random.Random,
        new_id: Callable[[], int],
        fatal: OnDeath,
        signer: Signer | None = None,
        now: Now = _loop_time,
    ) -> None:
        """`fatal` is told of what ends this member; the process should end then. `signer` makes the
        tokens of its users; without it they are etcd's simple ones. `now` is the clock that leases
        and tokens go by."""
        self.machine = self.machine_type(
            now,
            max_pending_bytes=config.store.max_pending_bytes,
            command_version=config.store.command_version,
            token_ttl=config.store.token_ttl,
        )
        """For those who look on; nobody else changes it."""
        self.replica = Replica(
            config.replica, self.machine, disk=disk, transport=transport, dice=dice, fatal=fatal
        )
        self.store = self.store_type(
            config.store, self.replica, self.machine, new_id=new_id, fatal=fatal, signer=signer
        )
        self.listener = (
            GrpcListener(config.listener, self.store) if config.listener is not None else None
        )

    @property
    def name(self) -> str:
        return "store"

    async def start(self) -> None:
        """Raises DataDirectoryError, and OSError if an address cannot be bound."""
        # The store first: it must not miss that its replica begins to lead.
        await self.store.start()
        await self.replica.start()
        self.store.auth.forget_old_tokens(self.replica.status().last_index)
        if self.listener is not None:
            await self.listener.start()

    async def stop(self) -> None:
        """Refuse clients, end watches, hand leadership over."""
        if self.listener is not None:
            await self.listener.stop()
        await self.store.stop()
        await self.replica.stop()
