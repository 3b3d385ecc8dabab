from collections.abc import AsyncIterator

import pytest

from tests.controlplane.apiserver.api import Api, running_api
from tests.steady_loop import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with running_api() as running:
        yield running
