"""One client, of our store and then of a real etcd, for tests that both must pass."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from tests.controlplane.store.etcd.clients import OPTIONS, Client, needs_etcd, real_etcd
from tests.controlplane.store.members import Members


@pytest.fixture(params=["podling", pytest.param("etcd", marks=needs_etcd)])
async def either(
    request: pytest.FixtureRequest, members: Members, tmp_path: Path
) -> AsyncIterator[Client]:
    """A client of an empty store of one member: ours, or a real etcd."""
    if request.param == "etcd":
        async with real_etcd(tmp_path) as channel:
            yield Client(channel)
        return
    (server,) = await members.start(1, listen=True)
    async with grpc.aio.insecure_channel(members.endpoint(server), options=OPTIONS) as channel:
        yield Client(channel)
