"""The gRPC face: `podling.cluster.v1`, with the standard health and reflection services."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from podling.controlplane.apiserver.api_core import ApiCore
from podling.controlplane.apiserver.cluster_grpc import status_codes
from podling.controlplane.apiserver.cluster_grpc.objects import ObjectsService, user_of_peer
from podling.controlplane.apiserver.request.authn import AUTHENTICATED, User
from podling.controlplane.apiserver.request.bodies import MAX_BODY
from podling.controlplane.apiserver.rest.http_server import TlsFiles
from podling.controlplane.clusterpb import cluster_pb2, cluster_pb2_grpc
from podling.kube import errors

STOP_GRACE = 1.0
"""Seconds that calls under way have when the server stops."""


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """What is known of one control-plane replica."""

    name: str
    peer_address: str = ""
    role: str = ""
    """`follower`, `candidate`, `leader`, `learner`; empty if not known."""
    term: int = 0
    commit_index: int = 0
    applied_index: int = 0


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What the answering replica knows of the cluster."""

    replica: str
    leader: str
    """Empty if it knows none."""
    replicas: tuple[ReplicaReport, ...]


#: Whoever runs the replica tells what it knows.
ReportCluster = Callable[[], Awaitable[ClusterReport]]


@dataclass(frozen=True, slots=True)
class GrpcServerConfig:
    """Where and as whom it listens."""

    address: str
    """`host:port`; port 0: a free one."""
    tls: TlsFiles | None
    """Clients must show a certificate. None: in the clear, every caller anonymous."""
    podling_version: str


class GrpcServer:
    """Component; to be started after the core that it serves."""

    name = "apiserver-grpc"

    def __init__(self, config: GrpcServerConfig, core: ApiCore, report: ReportCluster) -> None:
        self._config = config
        self._core = core
        self._report = report
        self._health = health.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self.port = 0
        """The port it listens on, once started."""

    async def start(self) -> None:
        """Raises OSError if the address cannot be bound or a file cannot be read."""
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MAX_BODY + (64 << 10)),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )
        cluster_pb2_grpc.add_ObjectsServicer_to_server(
            ObjectsService(self._core, user_of_peer), server
        )
        cluster_pb2_grpc.add_ClusterServicer_to_server(
            ClusterService(self._report, user_of_peer, self._config.podling_version), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        services = [service.full_name for service in _services()]
        names = (*services, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
        self.port = _bind(server, self._config)
        await server.start()
        self._server = server
        for name in ("", *services):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Unready first; then calls under way have a moment to end."""
        if self._server is not None:
            await self._health.enter_graceful_shutdown()
            await self._server.stop(STOP_GRACE)
            self._server = None


class ClusterService(cluster_pb2_grpc.ClusterServicer):
    """Serves what the replica knows."""

    def __init__(
        self, report: ReportCluster, user_of: Callable[[Any], User], podling_version: str
    ) -> None:
        self._report = report
        self._user_of = user_of
        self._version = podling_version

    async def Status(self, request: Any, context: Any) -> cluster_pb2.StatusResponse:
        user = self._user_of(context)
        if AUTHENTICATED not in user.groups:
            refused = errors.Forbidden(message=f'User "{user.name}" cannot read the status')
            await status_codes.abort(context, refused)
        report = await self._report()
        return cluster_pb2.StatusResponse(
            replica=report.replica,
            leader=report.leader,
            replicas=[_replica(one) for one in report.replicas],
            version=self._version,
        )


def _replica(report: ReplicaReport) -> cluster_pb2.Replica:
    roles = dict(cluster_pb2.Replica.Role.items())
    return cluster_pb2.Replica(
        name=report.name,
        peer_address=report.peer_address,
        role=roles.get(report.role.removeprefix("pre-").upper(), cluster_pb2.Replica.UNKNOWN),
        term=report.term,
        commit_index=report.commit_index,
        applied_index=report.applied_index,
    )


def _services() -> list[Any]:
    return list(cluster_pb2.DESCRIPTOR.services_by_name.values())


def _bind(server: grpc.aio.Server, config: GrpcServerConfig) -> int:
    try:
        if config.tls is None:
            return server.add_insecure_port(config.address)
        key, certificate = Path(config.tls.key), Path(config.tls.certificate)
        credentials = grpc.ssl_server_credentials(
            [(key.read_bytes(), certificate.read_bytes())],
            root_certificates=Path(config.tls.client_ca).read_bytes(),
            require_client_auth=True,
        )
        return server.add_secure_port(config.address, credentials)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {config.address}: {error}") from error
