"""The members of an etcd: requests go to them in turn, and pass over those that do not answer.

A channel for each member, as in etcd's own client: a member is verified by its own name, and which
one has failed is known. A read that found nobody goes to the next member; so does a write that
certainly never left. Any other write without an answer may have happened, and is not repeated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
import grpc.aio

from podling.controlplane.etcdpb import rpc_pb2_grpc

T = TypeVar("T")

OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A member whose machine is gone says nothing: what waits for it, such as a watch, is ended
    # after 15 s. An etcd cuts off who pings more often than every 5 s (--grpc-keepalive-min-time).
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # else 60 s, which count where a ping is on its way
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 3_000),
    ("grpc.enable_http_proxy", 0),
)
OF_SOCKETS = (("grpc.ssl_target_name_override", "localhost"),)
"""A socket's path is no name that a certificate could have."""
AVOID_SECONDS = 30.0
"""How long a member that did not answer comes last. To wait for one in vain is dear: a write that
has no answer may have happened, and is nobody's to repeat."""

NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

#: What grpc says where a request found no connection to go out by.
NEVER_LEFT = ("failed to connect to all addresses", "connections to all backends failing")


@dataclass(frozen=True, slots=True)
class EtcdConfig:
    """Which etcd, and how to speak to it."""

    endpoints: Sequence[str]
    """`host:port` of each member, or `unix:path`."""
    secure: bool = False
    """Over TLS."""
    root_certificates: bytes | None = None
    """PEM; None: those that gRPC trusts by itself."""
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    timeout: float = 10.0
    """Seconds after which a request has failed."""
    patience: float = 3.0
    """Seconds after which another member is asked for what is only read."""


class EtcdMember:
    """One member, as a client sees it."""

    def __init__(self, address: str, channel: grpc.aio.Channel) -> None:
        self.address = address
        self.channel = channel
        self.kv = rpc_pb2_grpc.KVStub(channel)
        self.leases = rpc_pb2_grpc.LeaseStub(channel)
        self.watches = rpc_pb2_grpc.WatchStub(channel)
        self.avoided_until = 0.0


class EtcdEndpoints:
    """Connected from `start` to `stop`; a connection is made when it is first used."""

    def __init__(self, config: EtcdConfig) -> None:
        if not config.endpoints:
            raise ValueError("there must be at least one endpoint")
        self._config = config
        self._members: list[EtcdMember] = []
        self._turn = 0

    def start(self) -> None:
        config = self._config
        credentials = None
        if config.secure:
            credentials = grpc.ssl_channel_credentials(
                config.root_certificates, config.key, config.certificate
            )
        for address in config.endpoints:
            options = (*OPTIONS, *(OF_SOCKETS if address.startswith("unix:") else ()))
            channel = (
                grpc.aio.insecure_channel(address, options)
                if credentials is None
                else grpc.aio.secure_channel(address, credentials, options)
            )
            self._members.append(EtcdMember(address, channel))

    async def stop(self) -> None:
        members, self._members = self._members, []
        for member in members:
            await member.channel.close()

    async def read(self, ask: Callable[[EtcdMember], Awaitable[T]]) -> T:
        """Raises the AioRpcError of the member that was asked last."""
        *others, last = self.in_turn()
        for member in others:
            try:
                async with asyncio.timeout(self._config.patience):
                    return await self._ask_one(member, ask)
            except TimeoutError:
                continue
            except grpc.aio.AioRpcError as error:
                if error.code() not in NO_ANSWER:
                    raise
        return await self._ask_one(last, ask)

    async def write(self, ask: Callable[[EtcdMember], Awaitable[T]]) -> T:
        """Raises the AioRpcError of the member that was asked last."""
        *others, last = self.in_turn()
        for member in others:
            try:
                return await self._ask_one(member, ask)
            except grpc.aio.AioRpcError as error:
                if not _never_left(error):
                    raise
        return await self._ask_one(last, ask)

    def in_turn(self) -> list[EtcdMember]:
        """All members: the next one first, those that did not answer lately last."""
        self._turn = (self._turn + 1) % len(self._members)
        rotated = self._members[self._turn :] + self._members[: self._turn]
        now = asyncio.get_running_loop().time()
        return sorted(rotated, key=lambda member: member.avoided_until > now)

    def avoid(self, member: EtcdMember) -> None:
        """It did not answer; the others come first for a while."""
        member.avoided_until = asyncio.get_running_loop().time() + AVOID_SECONDS

    async def _ask_one(self, member: EtcdMember, ask: Callable[[EtcdMember], Awaitable[T]]) -> T:
        try:
            return await ask(member)
        except grpc.aio.AioRpcError as error:
            if error.code() in NO_ANSWER:
                self.avoid(member)
            raise
        except asyncio.CancelledError:  # nobody waits any longer, and more often in vain than not
            self.avoid(member)
            raise


def _never_left(error: grpc.aio.AioRpcError) -> bool:
    return any(text in (error.details() or "") for text in NEVER_LEFT)
