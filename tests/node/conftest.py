"""Stalls of the machine do not count here."""

from tests.steady_loop import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
