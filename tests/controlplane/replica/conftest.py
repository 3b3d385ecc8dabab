"""Stalls of the machine do not count here, but where a stall is what is tested."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests import steady_loop


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.path.name == "test_ticker.py":
        return {"usual": asyncio.SelectorEventLoop}
    return steady_loop.pytest_asyncio_loop_factories()
