"""The in-memory store passes the suite of all stores."""

import pytest

from podling.controlplane.apiserver.storage.interface import (
    OutcomeUnknown,
    TooManyRequests,
    Unavailable,
)
from podling.simulate.memory_storage import MemoryStorage
from tests.contract.storage import StorageContract, create, key, watch


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()


async def test_a_call_fails_on_purpose() -> None:
    storage = MemoryStorage()
    storage.fail_next(Unavailable("no quorum"))
    with pytest.raises(Unavailable):
        await storage.put(key("a"), b"1", expected_revision=0)
    assert (await storage.get(key("a"))).kv is None


async def test_a_write_of_unknown_outcome_may_have_happened() -> None:
    storage = MemoryStorage()
    storage.fail_next(OutcomeUnknown("timed out"), applied=True)
    with pytest.raises(OutcomeUnknown):
        await storage.put(key("a"), b"1", expected_revision=0)
    assert (await storage.get(key("a"))).kv is not None


async def test_a_watch_that_is_not_read_is_ended() -> None:
    storage = MemoryStorage(watch_backlog_max=2)
    async with await watch(storage, 1) as reader:
        for number in range(3):
            await create(storage, str(number))
        await reader.events(2)
        with pytest.raises(TooManyRequests):
            await reader.batch()


async def test_dropped_watches_end_with_the_error() -> None:
    storage = MemoryStorage()
    async with await watch(storage, 1) as reader:
        storage.drop_watches(Unavailable("gone"))
        with pytest.raises(Unavailable):
            await reader.batch()
