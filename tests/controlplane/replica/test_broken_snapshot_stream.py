"""A snapshot over gRPC whose connection breaks in the middle, on the real disk."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podling.aiokit.tasks import TaskSet
from podling.controlplane.replica.config import ReplicaConfig
from podling.controlplane.replica.members.membership import Member
from podling.controlplane.replica.peers.grpc_transport import GrpcTransport, GrpcTransportConfig
from tests.controlplane.replica.group import Group
from tests.ports import free_ports
from tests.waiting import until

MEGABYTE = 1_000_000


class BreakingWay:
    """Passes bytes on to a port, so many on each connection, and the rest never."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks = TaskSet("way")
        self._server: asyncio.Server | None = None
        self.limit = 2**62
        """Bytes after which a connection carries nothing more, until it is broken."""
        self.full = False
        """Whether there is such a connection."""
        self._broken = asyncio.Event()

    async def start(self, port: int) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)

    def break_all(self) -> None:
        """End the connections that are full; those to come have no limit."""
        self.limit = 2**62
        self._broken.set()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._tasks.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
        except ConnectionRefusedError:
            writer.close()
            return
        forth = self._tasks.spawn(self._carry(reader, back), name="forth")
        self._tasks.spawn(self._carry(there, writer), name="back")
        await asyncio.wait([forth])
        writer.close()
        back.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carried = 0
        try:
            while data := await reader.read(65536):
                carried += len(data)
                if carried > self.limit:
                    self.full = True
                    await self._broken.wait()
                    break
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()


@pytest.fixture
async def ways() -> AsyncIterator[dict[int, BreakingWay]]:
    """To each member, by its number."""
    ways = {number: BreakingWay(port) for number, port in enumerate(free_ports(3), start=1)}
    yield ways
    for way in ways.values():
        await way.stop()


def size_of(folder: Path) -> int:
    size = 0
    for file in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # it may have been given up since
            size += file.stat().st_size
    return size


async def test_the_stream_goes_on_where_it_broke(
    tmp_path: Path, ways: dict[int, BreakingWay], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    members = {}
    for (number, way), port in zip(ways.items(), free_ports(3), strict=True):
        await way.start(port)
        members[number] = Member(f"replica-{number}", (f"http://127.0.0.1:{port}",))

    def transport(config: ReplicaConfig) -> GrpcTransport:
        listen = (f"127.0.0.1:{ways[config.member_id]._port}",)
        mine = GrpcTransportConfig(0xC1, config.member_id, members, None, listen)
        return GrpcTransport(mine, group.dice)

    settings = {"heartbeat_interval": 0.05, "snapshot_count": 10, "catch_up_entries": 1}
    group = Group(tmp_path, transport, members, settings)
    await group.start()
    try:
        leader = await group.leader_id()
        away = leader % 3 + 1
        await group.stop(away)
        for number in range(12):
            await group.replicas[leader].propose(bytes([65 + number]) * (MEGABYTE // 2))
        await group.compacted(5)
        ways[away].limit = 3 * MEGABYTE
        await group.start(away)
        kept = tmp_path / f"replica-{away}" / "snapshots"
        await until(
            lambda: ways[away].full and size_of(kept) > 2 * MEGABYTE,
            "as much as the way carries is on the disk",
            group.describe,
        )
        ways[away].break_all()
        assert len(await group.equal()) == 12
        assert group.ledgers[away].restored >= 1
    finally:
        await group.stop()
    began = [int(each) for each in re.findall(r"goes on at byte (\d+)", caplog.text)]
    assert began
    assert began[-1] > MEGABYTE
