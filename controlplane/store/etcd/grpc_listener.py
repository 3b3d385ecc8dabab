"""Serves etcd's gRPC API to clients on one address."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from podling.aiokit import addresses
from podling.controlplane.store.client_calls import ClientCalls
from podling.controlplane.store.etcd import etcd_api, unix_socket
from podling.controlplane.store.etcd.admission import MAX_CALLS
from podling.controlplane.store.etcd.grpc_adapter import GrpcAdapter
from podling.controlplane.store.etcd.messages import ResponseWriter
from podling.controlplane.store.etcd.server_certificate import CertificateFiles, ServerCertificate
from podling.controlplane.store.store import Store

UNIX = "unix:"
log = logging.getLogger(__name__)

MESSAGE_OVERHEAD = 512 * 1024
"""What a message may be larger than the request in it, as in etcd."""


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """How clients reach this member."""

    address: str
    """`host:port`; port 0 lets the system choose (see `GrpcListener.port`). Or `unix:path`, as gRPC
    has it: a socket for this process's user alone."""
    cluster_id: int
    member_id: int
    tls: ServerCertificate | None = None
    """None serves in the clear, to whoever can reach the address."""
    max_request_bytes: int = 1536 * 1024
    leader_timeout: float = 3.0
    """Seconds without a leader after which watches that require one end."""
    stop_grace: float = 1.0
    """Seconds that calls under way have when the listener stops."""


class GrpcListener:
    """A component; to be started after the store, on the loop that serves it."""

    def __init__(
        self, config: ListenerConfig, store: Store, calls: ClientCalls | None = None
    ) -> None:
        """`calls` is what counts those that come, if anybody wants to know."""
        self._config = config
        self.calls = calls or ClientCalls()
        self._store = store
        self._health = health.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self.port = 0
        """The port it listens on, once started."""

    @property
    def name(self) -> str:
        return "etcd-listener"

    async def start(self) -> None:
        """Raises OSError if the address cannot be bound."""
        config, store = self._config, self._store
        writer = ResponseWriter(config.cluster_id, config.member_id, lambda: store.members.term)
        server = grpc.aio.server(options=_options(config))
        methods = etcd_api.methods(store, writer, leader_timeout=config.leader_timeout)
        tls = config.tls
        named = tls is not None and tls.client_ca is not None and tls.names_users
        adapter = GrpcAdapter(methods, self.calls, certificates=named)
        server.add_generic_rpc_handlers((adapter,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        self.port = _bind(server, config)
        await server.start()
        self._server = server
        log.info(
            "serving clients on %s, %s TLS", config.address, "with" if config.tls else "without"
        )
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Unready first; then watches end, and other calls under way have a moment to."""
        if self._server is None:
            return
        await self._health.enter_graceful_shutdown()
        self._store.end_watches()
        await self._server.stop(self._config.stop_grace)
        self._server = None


def _options(config: ListenerConfig) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", config.max_request_bytes + MESSAGE_OVERHEAD),
        ("grpc.max_send_message_length", -1),
        # One process serves one address; another must fail to bind, not take half the calls.
        ("grpc.so_reuseport", 0),
        # etcd's clients ping every 30 s, idle or not; the library would hang up on them.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
        ("grpc.http2.max_ping_strikes", 0),
        # `Admission` says when it is too much; the library would end calls long before (CANCELLED).
        ("grpc.server.max_pending_requests", 2 * MAX_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", 4 * MAX_CALLS),
    ]


def _bind(server: grpc.aio.Server, config: ListenerConfig) -> int:
    try:
        if not config.address.startswith(UNIX):
            addresses.check_free(config.address)
            return _add_port(server, config)
        with unix_socket.private(Path(unquote(config.address.removeprefix(UNIX)))):
            return _add_port(server, config)
    except (RuntimeError, OSError) as error:
        raise OSError(f"store cannot listen for clients on {config.address}: {error}") from error


def _add_port(server: grpc.aio.Server, config: ListenerConfig) -> int:
    if config.tls is None:
        return server.add_insecure_port(config.address)
    return server.add_secure_port(config.address, _credentials(config.tls))


def _credentials(tls: ServerCertificate) -> grpc.ServerCredentials:
    """Of files that are read again when they change."""
    files = CertificateFiles(tls)

    def renewed() -> Any:
        """None leaves it at the last; the library's types do not know that."""
        return _certificates(tls) if files.renewed() else None

    return grpc.dynamic_ssl_server_credentials(
        _certificates(tls), renewed, require_client_authentication=tls.client_ca is not None
    )


def _certificates(tls: ServerCertificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())],
        None if tls.client_ca is None else tls.client_ca.read_bytes(),
    )
