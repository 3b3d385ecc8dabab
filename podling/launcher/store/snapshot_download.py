"""Saves a member's state to a file, by etcd's Maintenance.Snapshot.

Asks one member only, as etcd does: members may be at different revisions.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio

from podling.controlplane.etcdpb import auth_pb2, auth_pb2_grpc, rpc_pb2, rpc_pb2_grpc
from podling.controlplane.store.offline.errors import OfflineError
from podling.controlplane.store.offline.saved_snapshot import SnapshotWriter
from podling.controlplane.wal.disk import Disk
from podling.launcher.errors import LauncherError

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
)
_OF_SOCKETS = (("grpc.ssl_target_name_override", "localhost"),)
"""A path is no name that a certificate could have."""


class DownloadError(LauncherError):
    """The member did not give its state; no file was left."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One member of a store or an etcd, and how to speak to it."""

    address: str
    """`host:port` or `unix:path`, as gRPC has it."""
    secure: bool
    authority: Path | None = None
    """PEM; None: the authorities that gRPC trusts by itself."""
    certificate: Path | None = None
    key: Path | None = None
    user: str = ""
    password: str = field(default="", repr=False)


def save(disk: Disk, endpoint: Endpoint, path: Path, timeout: float) -> int:
    """`download`, in an event loop of its own."""
    return asyncio.run(download(disk, endpoint, path, timeout))


async def download(disk: Disk, endpoint: Endpoint, path: Path, timeout: float) -> int:
    """Write the state to `path`; return its size in bytes.

    `timeout` is in seconds, for reaching the member and for each piece. Raises DownloadError and
    OfflineError.
    """
    writer = SnapshotWriter(disk, path)
    try:
        async with _channel(endpoint) as channel:
            metadata = await _login(channel, endpoint, timeout)
            stub = rpc_pb2_grpc.MaintenanceStub(channel)
            replies = aiter(stub.Snapshot(rpc_pb2.SnapshotRequest(), metadata=metadata))
            while reply := await asyncio.wait_for(anext(replies, None), timeout):
                writer.write(reply.blob)
        writer.finish()
    except grpc.aio.AioRpcError as error:
        raise DownloadError(
            f"{endpoint.address} did not give its state: {error.details() or error.code().name}"
        ) from error
    except TimeoutError as error:
        raise DownloadError(
            f"{endpoint.address} did not answer within {timeout:g} s; is it a member's client URL?"
        ) from error
    except OfflineError as error:
        raise DownloadError(f"what {endpoint.address} sent is not whole: {error}") from error
    finally:
        writer.abandon()
    return writer.size


def _channel(endpoint: Endpoint) -> grpc.aio.Channel:
    if not endpoint.secure:
        return grpc.aio.insecure_channel(endpoint.address, _OPTIONS)
    authority, key, certificate = (
        path.read_bytes() if path is not None else None
        for path in (endpoint.authority, endpoint.key, endpoint.certificate)
    )
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    of_sockets = _OF_SOCKETS if endpoint.address.startswith("unix:") else ()
    return grpc.aio.secure_channel(endpoint.address, credentials, (*_OPTIONS, *of_sockets))


async def _login(
    channel: grpc.aio.Channel, endpoint: Endpoint, timeout: float
) -> tuple[tuple[str, str], ...]:
    """What says who asks, if a user was named."""
    if not endpoint.user:
        return ()
    stub = auth_pb2_grpc.AuthStub(channel)
    request = auth_pb2.AuthenticateRequest(name=endpoint.user, password=endpoint.password)
    reply = await stub.Authenticate(request, timeout=timeout)
    return (("token", reply.token),)
