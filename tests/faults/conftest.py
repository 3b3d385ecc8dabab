"""A folder with a short path, and members that are gone when the test is."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.members import Members, loopback_places


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="podling-") as made:
        yield Path(made)


@pytest.fixture
def members(folder: Path) -> Iterator[Members]:
    with Members(folder, loopback_places(3)) as made:
        yield made
