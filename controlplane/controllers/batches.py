"""Many requests of one kind, begun carefully: 1, then 2, 4, 8 … at a time.

If the first fails (a quota, a bad template), it was one request and not five hundred.
Source: kube-controller-manager's slowStartBatch.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from podling.aiokit.tasks import TaskSet
from podling.kube.errors import ApiError
from podling.kube.transport import TransportError

T = TypeVar("T")
Failure = ApiError | TransportError
FAILURES = (ApiError, TransportError)


async def slow_start(
    items: Sequence[T], act: Callable[[T], Awaitable[None]], name: str
) -> Failure | None:
    """Do `act` for each item, in growing batches, until a batch has a failure; returns it.

    Items after that batch are not begun.
    """
    start, size = 0, 1
    while start < len(items):
        batch = items[start : start + size]
        failure = await all_of(batch, act, name)
        if failure is not None:
            return failure
        start, size = start + size, size * 2
    return None


async def all_of(
    items: Sequence[T], act: Callable[[T], Awaitable[None]], name: str
) -> Failure | None:
    """Do `act` for all items at once; returns the first failure, after all have ended."""

    async def attempt(item: T) -> Failure | None:
        try:
            await act(item)
        except FAILURES as error:
            return error
        return None

    async with TaskSet(name) as tasks:
        running = [tasks.spawn(attempt(item), name=str(index)) for index, item in enumerate(items)]
        outcomes = [await task for task in running]
    return next((outcome for outcome in outcomes if outcome is not None), None)
