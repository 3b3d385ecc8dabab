"""Fixtures on real processes. Every test ends with nothing of it left running."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.node.runtime.launched import LauncherProcess, Watcher
from tests.node.runtime.served import Node


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="pr-") as path:
        yield Path(path)


@pytest.fixture
def launcher(folder: Path) -> Iterator[LauncherProcess]:
    launched = LauncherProcess(folder)
    assert launched.start(), launched.errors()
    yield launched
    launched.close()


@pytest.fixture
async def watcher(launcher: LauncherProcess) -> AsyncIterator[Watcher]:
    watching = Watcher(launcher.socket)
    await watching.client.start(30)
    yield watching
    await watching.stop()


@pytest.fixture
async def node(folder: Path, launcher: LauncherProcess) -> AsyncIterator[Node]:
    served = Node(folder, launcher)
    await served.start()
    yield served
    await served.stop()
