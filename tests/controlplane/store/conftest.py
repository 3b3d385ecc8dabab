"""Members of a store, on real replicas. Stalls of the machine do not count here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podling.controlplane.store.store import Store
from tests.controlplane.store.members import Members
from tests.steady_loop import pytest_asyncio_loop_factories

__all__ = ["member", "members", "pytest_asyncio_loop_factories"]


@pytest.fixture
async def members(tmp_path: Path) -> AsyncIterator[Members]:
    """To start as many as the test wants; all are stopped afterwards."""
    members = Members(tmp_path)
    yield members
    for server in tuple(members.servers):
        await members.stop(server)


@pytest.fixture
async def member(members: Members) -> Store:
    """The only member of a cluster."""
    (server,) = await members.start(1)
    return server.store
