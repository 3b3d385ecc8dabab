"""gRPC clients of an etcd API, ours or a real etcd's, and a real etcd to ask."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from podling.controlplane.etcdpb import rpc_pb2, rpc_pb2_grpc
from tests.controlplane.store.members import PATIENCE
from tests.ports import free_ports

ETCD = shutil.which("etcd")

#: As etcd's own client: what a server may answer is not bounded.
OPTIONS = [("grpc.max_receive_message_length", -1)]

needs_etcd = pytest.mark.skipif(ETCD is None, reason="no etcd in PATH (apt install etcd-server)")


class Client:
    """Stubs over one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.kv: Any = rpc_pb2_grpc.KVStub(channel)
        self.watch: Any = rpc_pb2_grpc.WatchStub(channel)
        self.lease: Any = rpc_pb2_grpc.LeaseStub(channel)
        self.cluster: Any = rpc_pb2_grpc.ClusterStub(channel)
        self.maintenance: Any = rpc_pb2_grpc.MaintenanceStub(channel)

    async def watching(self, *metadata: tuple[str, str], **options: Any) -> "Watch":
        """A stream with one watch, whose creation is the next response."""
        watch = Watch(self.watch.Watch(metadata=metadata))
        await watch.create(**options)
        return watch


class Watch:
    """A watch stream."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def create(self, **options: Any) -> None:
        request = rpc_pb2.WatchCreateRequest(**options)
        await self.call.write(rpc_pb2.WatchRequest(create_request=request))

    async def cancel(self, watch_id: int) -> None:
        request = rpc_pb2.WatchCancelRequest(watch_id=watch_id)
        await self.call.write(rpc_pb2.WatchRequest(cancel_request=request))

    async def ask_for_progress(self) -> None:
        request = rpc_pb2.WatchProgressRequest()
        await self.call.write(rpc_pb2.WatchRequest(progress_request=request))

    async def next(self) -> rpc_pb2.WatchResponse:
        response: rpc_pb2.WatchResponse = await read(self.call)
        return response

    async def events(self, count: int) -> list[Any]:
        """So many events, in as many responses as they come in."""
        events: list[Any] = []
        while len(events) < count:
            events += (await self.next()).events
        return events


async def read(call: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        response = await call.read()
    assert response is not grpc.aio.EOF, "the stream ended"
    return response


async def refusal(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async with asyncio.timeout(PATIENCE):
            await call
    return refused.value.code().name, str(refused.value.details())


def anonymous(answer: Any) -> Any:
    """Without what differs between clusters."""
    answer.header.cluster_id = answer.header.member_id = answer.header.raft_term = 0
    return answer


@asynccontextmanager
async def real_etcd(folder: Path, *flags: str) -> AsyncIterator[grpc.aio.Channel]:
    """A real etcd of one member, empty."""
    client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    with (folder / "etcd.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - spawning takes a millisecond
            [
                str(ETCD), "--data-dir", folder / "etcd", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer,
                "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
                "--heartbeat-interval=20", "--election-timeout=200", "--bcrypt-cost=4",
                *flags,
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        # The library waits a second between attempts to connect unless told otherwise.
        address = client.removeprefix("http://")
        options = [*OPTIONS, ("grpc.initial_reconnect_backoff_ms", 50)]
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            async with asyncio.timeout(PATIENCE):
                await rpc_pb2_grpc.KVStub(channel).Range(
                    rpc_pb2.RangeRequest(key=b"up"), wait_for_ready=True
                )
            yield channel
    finally:
        process.kill()
        process.wait()
