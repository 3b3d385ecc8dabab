"""A simulated API server, a client of it, and dice."""

import itertools
from random import Random

import pytest

from podling.kube.client import Client
from podling.simulate.api_server import MemoryApiServer
from tests.steady_loop import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture
def server() -> MemoryApiServer:
    numbers = itertools.count()
    return MemoryApiServer(lambda: 1_000_000.5, lambda: f"id-{next(numbers):05}")


@pytest.fixture
def client(server: MemoryApiServer) -> Client:
    return Client(server, user_agent="test")


@pytest.fixture
def dice() -> Random:
    return Random(7)
