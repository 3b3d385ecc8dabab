"""Waiting for a condition, where nothing tells that it came true."""

import asyncio
from collections.abc import Callable

POLL_SECONDS = 0.002


async def until(
    condition: Callable[[], object],
    what: str,
    describe: Callable[[], str] = str,
    seconds: float = 30,
) -> None:
    """Return once `condition()` holds; fails naming `what`, and what `describe` says then."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - a condition of any kind
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}\n{describe()}") from None
